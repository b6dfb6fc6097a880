/** One virtual machine as a test sees it: its state, its options and its lives (a session from boot to end). */

import type { Profile } from "../config/schema.ts";
import {
  ApiError,
  GuestError,
  InterruptedError,
  ProviumError,
  TimeoutError,
  VmDeadError,
} from "../errors/errors.ts";
import { after, called, monotonic, type Op, until } from "../sys/op.ts";
import { checkBoot } from "./boot-check.ts";
import { VmDisks } from "./disks.ts";
import type { VmHost } from "./host.ts";
import { isEmulated } from "./launch.ts";
import { Lineage } from "./lineage.ts";
import type { SavedNic, VmLink } from "./link.ts";
import { NicPlaces } from "./nic-places.ts";
import { type BootOptions, mergeBootOptions } from "./options.ts";
import { Owed } from "./owed.ts";
import { bootBound, cpusOf, settled } from "./plan.ts";
import type { ConsolePort, Guest, LaunchSpec, NicSpec } from "./ports.ts";
import type { Resource } from "./registry.ts";
import { Session } from "./session.ts";
import { allowedStates, isTransition, type VmState, wrongState } from "./states.ts";
import { told } from "./told.ts";
import { Undertaking } from "./undertaking.ts";
import { VmSnapshots } from "./vm-snapshots.ts";
import { VmStory } from "./vm-story.ts";
import { bootWay, startError, type WayUp } from "./way-up.ts";

/** Bound of a polite shutdown, the power-off included; afterwards the machine is ended by force. */
const SHUTDOWN_MS = 10_000;
/** How long the agent may spend on sync(2) before it powers off. */
const SYNC_MS = 2_000;
/** How long a guest may take to power off after its power button was pressed. */
const POWER_BUTTON_MS = 30_000;
/** Lives that are over whose directory stays: a file may boot a machine thousands of times. */
const LIVES_KEPT = 8;

export class Vm implements Resource {
  readonly kind = "vm";
  /** Its network interfaces. */
  readonly links = new Set<VmLink>();
  private readonly places = new NicPlaces();
  readonly disks: VmDisks;
  readonly snapshots: VmSnapshots;
  private phase: VmState = "created";
  private session: Session | undefined;
  private starting: Session | undefined;
  private readonly doing = new Undertaking();
  private death: VmDeadError | undefined;
  private lastConsole: ConsolePort | undefined;
  private lastCid: number | undefined;
  private readonly lineage = new Lineage();
  private readonly owed = new Owed();
  /** What the running machine was launched with. */
  private spec: LaunchSpec | undefined;
  /** Directories of the last lives that are over. */
  private readonly past: string[] = [];
  private readonly story: VmStory;

  constructor(
    readonly name: string,
    readonly profile: Profile,
    private options: BootOptions,
    private readonly host: VmHost,
    /** A classic VM that is left over at the end of its file is killed, a lab VM is shut down. */
    private readonly leftover: "shutdown" | "kill",
    /** Attaches it, while it does not run, as a snapshot says. */
    private readonly relink: (nics: readonly SavedNic[]) => Op<void>,
    /** Its name in events, where VMs of several labs meet. */
    private readonly toldAs = name,
  ) {
    const vm = this;
    this.story = new VmStory(host.emit, host.file, toldAs);
    this.disks = new VmDisks({
      label: this.label,
      open: host.openDisk,
      directory: () => host.directory("disk"),
      checkHostFile: host.checkHostFile,
      checkPlug: (call) => this.checkPlug(call, "disks"),
      running: () => this.running,
      order: function* (call, op) {
        const session = yield* vm.live(call);
        yield* session.order(call, op(session.machine));
      },
    });
    this.snapshots = new VmSnapshots({
      vm: this,
      host,
      story: this.story,
      lineage: this.lineage,
      options: () => this.options,
      allowed: (call) => this.allowed(call),
      disks: this.disks,
      nics: () => [...this.links].map((link) => link.saved()),
      relink: this.relink,
      *live(call) {
        const session = yield* vm.live(call);
        return { session, spec: vm.spec as LaunchSpec };
      },
      drop: () => {
        if (this.session !== undefined) this.finish(this.session, "shutdown", "goes back to a snapshot");
      },
      start: (way, there) => this.doing.run("being restored", this.start(way, there)),
    });
  }

  get label(): string {
    return `vm \`${this.name}\``;
  }

  get state(): VmState {
    return this.session?.broken === undefined ? this.phase : "dead";
  }

  /** vsock context ID of the last boot; undefined before it and on the serial channel. */
  get cid(): number | undefined {
    return this.lastCid;
  }

  /** Names the present for what is made in the guest now; 0 before the first boot. */
  get life(): number {
    return this.lineage.now;
  }

  /** Whether what was made in that life is still there: no boot came between, or the VM went back to it. */
  lives(life: number): boolean {
    return this.lineage.holds(life);
  }

  /** Why what was made in a life that is over is gone: "ended with an earlier boot of that vm". */
  whyLost(life: number): string {
    return this.lineage.lost(life);
  }

  /** The console of the last boot, also after its end. */
  get console(): ConsolePort | undefined {
    return this.lastConsole;
  }

  /** Starts the machine and waits until its agent is ready. `over` is laid on the options given before. */
  *boot(over: BootOptions = {}): Op<void> {
    yield* this.allowed("boot");
    const merged = mergeBootOptions(this.options, over);
    const { architecture } = this.profile;
    const hostTree = this.profile.root !== undefined;
    checkBoot(merged, { cpus: cpusOf(this.profile, merged), architecture, hostTree }, this.host);
    const options = settled(merged, () => this.host.seed(this.name));
    const way = bootWay(this.host, this.name, this.profile, options, this.disks);
    yield* this.doing.run(
      "booting",
      this.start(way, () => this.lineage.begin()),
    );
    this.options = options;
  }

  /** Runs an operation in the guest. In any state but booted: "vm `a` is shutdown; run needs booted". */
  *call<T>(operation: string, op: (guest: Guest) => Op<T>): Op<T> {
    yield* this.allowed(operation);
    const running = called((this.session as Session).call(operation, op), operation, this.label);
    try {
      return yield* this.host.operations === true
        ? told(this.host, this.toldAs, operation, running)
        : running;
    } catch (error) {
      throw error instanceof GuestError ? error.from(this.label) : error;
    }
  }

  *pause(): Op<void> {
    const session = yield* this.live("pause");
    yield* session.order("pause", session.machine.pause());
    this.enter("paused");
  }

  *resume(): Op<void> {
    const session = yield* this.live("resume");
    yield* session.order("resume", session.machine.resume());
    this.enter("booted");
    // Another task may pause it again meanwhile.
    yield* this.owed.settle(() => this.state === "booted");
  }

  /**
   * Brings the guest up to date: now, or when it goes on again where it is paused. A machine that ends before is
   * nothing to be brought up to date: then `gone` is called.
   */
  *bring(op: () => Op<void>, gone: () => void = () => {}): Op<void> {
    if (this.state === "booted") yield* op();
    else if (this.state === "paused") this.owed.add({ op, gone });
    else gone();
  }

  /** Warm reboot: returns when the agent of the new boot is ready. */
  *reset(): Op<void> {
    const session = yield* this.live("reset");
    const bound = bootBound(this.options, this.emulated);
    const deadline = after(bound.ms);
    const { links, doing } = this;
    try {
      const restart = function* (): Op<void> {
        yield* session.machine.reset();
        yield* session.reopen(deadline);
        for (const link of links) yield* link.ready(session.guest);
        doing.check();
      };
      yield* doing.run("being reset", session.order("reset", restart()));
    } catch (error) {
      // Nobody talks to its agent any more, so there is nothing left to go on with.
      const why =
        error instanceof InterruptedError
          ? "its reset was interrupted"
          : "it did not come back from its reset";
      session.fail(new ProviumError(why, { cause: error }));
      throw error;
    }
    this.lineage.begin();
    this.enter("booted", "reset");
  }

  /** Presses the ACPI power button and waits until the guest has powered itself off. */
  *powerButton(): Op<void> {
    const session = yield* this.live("power_button");
    session.machine.expectExit();
    yield* session.order("power_button", session.machine.powerButton());
    const ms = this.emulated ? POWER_BUTTON_MS * 4 : POWER_BUTTON_MS;
    if (!(yield* session.machine.waitExit(after(ms))))
      throw new TimeoutError(`${this.label} did not power off within ${ms / 1000} s of its power button`, {
        hint: "The guest's init must act on the power button (acpid, systemd-logind).",
      });
    this.finish(session, "shutdown", "power button");
  }

  /** From any state to shutdown: power-off through the agent, up to 10 s, then by force. Idempotent. */
  *shutdown(): Op<void> {
    const { session, doing } = this;
    if (doing.final) {
      // Another task is at it.
      yield* until(() => !doing.final);
      return;
    }
    this.callOff("shut down");
    if (session === undefined || session.broken !== undefined) {
      if (session !== undefined) yield* session.story();
      if (this.phase !== "shutdown") this.enter("shutdown");
    } else if (doing.what !== undefined) {
      // In the middle of a reset there is nobody who could be asked.
      this.finish(session, "shutdown");
    } else yield* doing.run("shutting down", this.powerOff(session, after(SHUTDOWN_MS)), true);
  }

  /** Ends the machine at once, like a pulled plug. Leaves `dead`. Idempotent. */
  kill(): void {
    const session = this.session;
    this.callOff("killed");
    if (session !== undefined) this.finish(session, "dead", "killed");
    else if (this.phase !== "dead") this.enter("dead", "killed");
  }

  /** The machine is there: what changes about it changes now, not at the next boot. */
  get running(): boolean {
    return this.state === "booted" || this.state === "paused";
  }

  /** Throws unless something can be plugged in or out now, or kept for the next boot. */
  checkPlug(call: string, what = "network"): void {
    if (this.host.vmm.kind === "local")
      throw new ApiError(`${call}: ${this.label} has no ${what}: --vmm local boots no machine`, {
        hint: "Run this file with --vmm qemu.",
      });
    if (this.doing.what !== undefined) throw wrongState(this.name, this.doing.what, call);
    if (this.state === "paused") throw wrongState(this.name, "paused", call);
  }

  /** Where an interface sits or will: of a link, or left in the machine by one that is gone. */
  get nicSlots(): ReadonlySet<number> {
    return new Set([...[...this.links].map((link) => link.saved().slot), ...this.places.slots]);
  }

  *plug(nic: NicSpec): Op<void> {
    const session = yield* this.live("plug");
    yield* session.order("attach", this.places.plug(session.machine, nic));
  }

  *unplug(id: string): Op<void> {
    const session = yield* this.live("plug");
    yield* session.order("detach", this.places.unplug(session.machine, id));
  }

  *setLink(id: string, up: boolean): Op<void> {
    const session = yield* this.live("set_link");
    yield* session.order("set_link", session.machine.setLink(id, up));
  }

  /** Lets go of what outlives the machine. Nothing can be done with the VM afterwards. Idempotent. */
  release(): void {
    this.disks.close();
  }

  /** Used when the scope ends; also `vm:close()`. */
  *close(): Op<void> {
    if (this.session === undefined && this.doing.what === undefined) return;
    if (this.leftover === "kill") this.kill();
    else yield* this.shutdown();
  }

  /** The machine has no hardware acceleration: what takes time takes longer. */
  get emulated(): boolean {
    return isEmulated(this.host, this.profile.architecture, this.options);
  }

  /** Throws unless the state allows `call`; a VM that has just died tells why. */
  private *allowed(call: string): Op<void> {
    if (this.session?.broken !== undefined) yield* this.session.story();
    const doing =
      this.doing.what ?? (this.snapshots.saving && isTransition(call) ? "being saved" : undefined);
    if (doing !== undefined && call !== "shutdown") throw wrongState(this.name, doing, call);
    if (!allowedStates(call).includes(this.phase))
      throw wrongState(this.name, this.phase, call, this.phase === "dead" ? this.death?.message : undefined);
  }

  private *live(call: string): Op<Session> {
    yield* this.allowed(call);
    return this.session as Session;
  }

  private *start(way: WayUp, there: () => void): Op<void> {
    if (way.relink !== undefined) yield* way.relink();
    const grant = yield* this.host.services.draw(this.name, way.memoryBytes, way.cpus);
    let session: Session | undefined;
    try {
      const artefacts =
        this.host.vmm.kind === "local" || way.artefacts === undefined ? undefined : yield* way.artefacts();
      const nics: NicSpec[] = [];
      const disks = yield* way.disks();
      for (const link of this.links) nics.push(yield* link.prepare());
      const spec = way.spec(artefacts, nics, disks);
      const started = monotonic();
      const deadline = after(way.bound.ms);
      const machine = yield* way.launch(spec, deadline);
      this.lastConsole = machine.console;
      session = new Session(
        this.name,
        machine,
        this.host.openGuest,
        () => {
          grant.release();
          this.over(spec.directory);
        },
        (error) => this.broke(error),
        // A question that comes when the host's clock says so would be felt by a guest whose runs repeat.
        () => this.phase === "booted" && !this.snapshots.saving && machine.transport !== "mailbox",
      );
      this.starting = session;
      yield* way.open(session, deadline);
      there();
      this.spec = spec;
      this.places.hold(nics);
      for (const link of this.links) yield* link.ready(session.guest);
      this.doing.check();
      this.begin(session, way.memoryBytes, monotonic() - started);
    } catch (error) {
      if (session === undefined) grant.release();
      try {
        throw yield* startError(this.label, error, session, way);
      } finally {
        session?.end(new ProviumError(`${this.label} did not ${way.call}`));
      }
    } finally {
      this.starting = undefined;
      for (const link of this.links) link.handedOver();
      this.disks.handedOver();
    }
  }

  /** A life has ended: what it left on disk is kept with that of the last few, for whoever looks at a run that was kept. */
  private over(directory: string): void {
    if (this.past.push(directory) > LIVES_KEPT) this.host.discard(this.past.shift() as string);
  }

  private begin(session: Session, memoryBytes: number, bootMs: number): void {
    this.session = session;
    this.death = undefined;
    this.lastCid = session.machine.cid;
    this.phase = "booted";
    this.story.spawned(this.profile.name, memoryBytes, session.machine, bootMs);
  }

  private *powerOff(session: Session, deadline: number): Op<void> {
    const machine = session.machine;
    session.leave(this.gone("shut down"));
    try {
      // A paused guest can hear nothing.
      if (this.phase === "paused") yield* machine.resume();
      yield* session.guest.shutdown(SYNC_MS, deadline);
      yield* machine.waitExit(deadline);
    } catch (error) {
      // Force follows in any case; only what ends the test itself goes on.
      if (!(error instanceof ProviumError) || error instanceof InterruptedError) throw error;
    } finally {
      this.finish(session, "shutdown");
    }
  }

  private enter(state: VmState, reason?: string): void {
    this.phase = state;
    this.story.entered(state, reason);
  }

  /** The session is over, by wish. */
  private finish(session: Session, state: VmState, reason?: string): void {
    const current = this.session;
    if (current === session) this.session = undefined;
    session.end(this.gone(reason === "killed" ? "killed" : "shut down"));
    if (current === session) this.closed(session, state, reason);
    // Another task has ended it meanwhile, or it has broken; it may have been booted again.
    else if (current === undefined && this.phase !== state) this.enter(state, reason);
  }

  /** Ends a boot, restore or reset that is under way. */
  private callOff(how: "killed" | "shut down"): void {
    this.doing.callOff(this.gone(how));
    this.starting?.end(this.gone(how));
  }

  /** What a call finds that waited on the guest. */
  private gone(how: "killed" | "shut down"): VmDeadError {
    return new VmDeadError(`${this.label} was ${how} meanwhile`, "");
  }

  /** The session is over, by itself. */
  private broke(error: VmDeadError): void {
    const session = this.session;
    // During a boot the error of the boot call says it all.
    if (session === undefined) return;
    this.session = undefined;
    this.death = error;
    this.closed(session, "dead", error.message);
  }

  private closed(session: Session, state: VmState, reason?: string): void {
    this.owed.drop();
    this.places.hold([]);
    this.enter(state, reason);
    this.story.ended(session.started);
  }
}

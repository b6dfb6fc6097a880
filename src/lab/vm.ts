/** One virtual machine as a test sees it: its state, its options and its lives (a session from boot to end). */

import type { Profile } from "../config/schema.ts";
import { ApiError, InterruptedError, ProviumError, TimeoutError, VmDeadError } from "../errors/errors.ts";
import type { Emit } from "../events/types.ts";
import { after, monotonic, type Op } from "../sys/op.ts";
import { checkBoot } from "./boot-check.ts";
import { VmDisks } from "./disks.ts";
import { type BootOptions, mergeBootOptions } from "./options.ts";
import { bootBound, bootRequest, cpusOf, kernelCmdline, memoryOf, needsHardwareRng } from "./plan.ts";
import type {
  BootArtefacts,
  ConsolePort,
  Guest,
  NicSpec,
  OpenDisk,
  OpenGuest,
  Services,
  Vmm,
} from "./ports.ts";
import type { Resource } from "./registry.ts";
import { consoleLines, Session } from "./session.ts";
import { allowedStates, type VmState, wrongState } from "./states.ts";

/** What VMs of one test file share. */
export interface VmHost {
  readonly vmm: Vmm;
  readonly openGuest: OpenGuest;
  readonly openDisk: OpenDisk;
  readonly services: Services;
  readonly emit: Emit;
  /** Every operation in a guest becomes an event. */
  readonly operations?: boolean;
  /** The test file as events name it. */
  readonly file: string;
  readonly accel: "kvm" | "tcg";
  readonly transport: "vsock" | "serial";
  /** Makes a directory of its own for one life of a VM and returns its path. */
  directory(vm: string): string;
  /** Throws ApiError unless the host file can be read. */
  checkHostFile(path: string, what: string): void;
}

/** A network interface of a VM, as far as its life is concerned. */
export interface VmLink {
  /** Before a launch: what the machine is to get. */
  prepare(): Op<NicSpec>;
  /** The launch is over, well or not: what was lent to it may be closed. */
  handedOver(): void;
  /** The agent is there: after a boot or a reset. */
  ready(guest: Guest): Op<void>;
}

/** Bound of a polite shutdown, the power-off included; afterwards the machine is ended by force. */
const SHUTDOWN_MS = 10_000;
/** How long the agent may spend on sync(2) before it powers off. */
const SYNC_MS = 2_000;
/** How long a guest may take to power off after its power button was pressed. */
const POWER_BUTTON_MS = 30_000;

const ns = (ms: number): number => Math.round(ms * 1e6);

export class Vm implements Resource {
  readonly kind = "vm";
  /** Its network interfaces. */
  readonly links = new Set<VmLink>();
  readonly disks: VmDisks;
  private phase: VmState = "created";
  private session: Session | undefined;
  private starting: Session | undefined;
  private doing: string | undefined;
  private death: VmDeadError | undefined;
  private lastConsole: ConsolePort | undefined;
  private lastCid: number | undefined;
  private boots = 0;

  constructor(
    readonly name: string,
    readonly profile: Profile,
    private options: BootOptions,
    private readonly host: VmHost,
    /** A classic VM that is left over at the end of its file is killed, a lab VM is shut down. */
    private readonly leftover: "shutdown" | "kill",
  ) {
    const vm = this;
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

  /** Which boot this is, resets included, counted from 1: what was started in an earlier one is gone. 0 before the first. */
  get life(): number {
    return this.boots;
  }

  /** The console of the last boot, also after its end. */
  get console(): ConsolePort | undefined {
    return this.lastConsole;
  }

  /** Starts the machine and waits until its agent is ready. `over` is laid on the options given before. */
  *boot(over: BootOptions = {}): Op<void> {
    yield* this.allowed("boot");
    const options = mergeBootOptions(this.options, over);
    checkBoot(options, this.host);
    yield* this.during("booting", () => this.launch(options));
    this.options = options;
  }

  /** Runs an operation in the guest. In any state but booted: "vm `a` is shutdown; run needs booted". */
  *call<T>(operation: string, op: (guest: Guest) => Op<T>): Op<T> {
    yield* this.allowed(operation);
    const running = (this.session as Session).call(operation, op);
    return yield* this.host.operations === true ? this.told(operation, running) : running;
  }

  /** Runs an operation and says how long it took and what became of it. */
  private *told<T>(operation: string, op: Op<T>): Op<T> {
    const started = monotonic();
    let error: string | undefined;
    try {
      return yield* op;
    } catch (thrown) {
      error = thrown instanceof Error ? thrown.message : String(thrown);
      throw thrown;
    } finally {
      const base = {
        file: this.host.file,
        vm_name: this.name,
        operation,
        duration_ns: ns(monotonic() - started),
      };
      this.host.emit("op", error === undefined ? base : { ...base, error });
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
  }

  /** Warm reboot: returns when the agent of the new boot is ready. */
  *reset(): Op<void> {
    const session = yield* this.live("reset");
    const bound = bootBound(this.options, this.emulated);
    const deadline = after(bound.ms);
    const { links } = this;
    try {
      const restart = function* (): Op<void> {
        yield* session.machine.reset();
        yield* session.reopen(deadline);
        for (const link of links) yield* link.ready(session.guest);
      };
      yield* this.during("being reset", () => session.order("reset", restart()));
    } catch (error) {
      // Nobody talks to its agent any more, so there is nothing left to go on with.
      const why =
        error instanceof InterruptedError
          ? "its reset was interrupted"
          : "it did not come back from its reset";
      session.fail(new ProviumError(why, { cause: error }));
      throw error;
    }
    this.boots++;
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
    const session = this.session;
    if (session === undefined || session.broken !== undefined) {
      if (session !== undefined) yield* session.story();
      if (this.phase !== "shutdown") this.enter("shutdown");
      return;
    }
    const deadline = after(SHUTDOWN_MS);
    yield* this.during("shutting down", () => this.powerOff(session, deadline));
  }

  /** Ends the machine at once, like a pulled plug. Leaves `dead`. Idempotent. */
  kill(): void {
    const session = this.session;
    this.starting?.end(new VmDeadError(`${this.label} was killed meanwhile`, ""));
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
    if (this.doing !== undefined) throw wrongState(this.name, this.doing, call);
    if (this.state === "paused") throw wrongState(this.name, "paused", call);
  }

  *plug(nic: NicSpec): Op<void> {
    const session = yield* this.live("plug");
    yield* session.order("attach", session.machine.plugNic(nic));
  }

  *unplug(id: string): Op<void> {
    const session = yield* this.live("plug");
    const { machine } = session;
    yield* session.order(
      "detach",
      (function* () {
        yield* machine.unplugNic(id);
      })(),
    );
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
    if (this.session === undefined) return;
    if (this.leftover === "kill") this.kill();
    else yield* this.shutdown();
  }

  /** The machine has no hardware acceleration: what takes time takes longer. */
  get emulated(): boolean {
    return this.host.vmm.kind === "qemu" && this.host.accel === "tcg";
  }

  /** Throws unless the state allows `call`; a VM that has just died tells why. */
  private *allowed(call: string): Op<void> {
    if (this.session?.broken !== undefined) yield* this.session.story();
    if (this.doing !== undefined && call !== "shutdown") throw wrongState(this.name, this.doing, call);
    if (!allowedStates(call).includes(this.phase))
      throw wrongState(this.name, this.phase, call, this.phase === "dead" ? this.death?.message : undefined);
  }

  private *live(call: string): Op<Session> {
    yield* this.allowed(call);
    return this.session as Session;
  }

  private *during(doing: string, op: () => Op<void>): Op<void> {
    this.doing = doing;
    try {
      yield* op();
    } finally {
      this.doing = undefined;
    }
  }

  private *launch(options: BootOptions): Op<void> {
    const { host, profile } = this;
    const memoryBytes = memoryOf(profile, options);
    const cpus = cpusOf(profile, options);
    const grant = yield* host.services.draw(this.name, memoryBytes, cpus);
    const bound = bootBound(options, this.emulated);
    const nics: NicSpec[] = [];
    let session: Session | undefined;
    try {
      const disks = yield* this.disks.prepare(options.disks ?? []);
      const artefacts: BootArtefacts | undefined =
        host.vmm.kind === "local" ? undefined : yield* host.services.boot(bootRequest(profile, options));
      for (const link of this.links) nics.push(yield* link.prepare());
      const started = monotonic();
      const deadline = after(bound.ms);
      const machine = yield* host.vmm.launch(
        {
          name: this.name,
          memoryBytes,
          cpus,
          kernel: artefacts?.kernel,
          initrd: artefacts?.initrd,
          cmdline: kernelCmdline(profile, options, artefacts?.cmdline ?? "", this.emulated),
          nics,
          disks,
          rngSeed: options.rngSeed,
          hardwareRng: needsHardwareRng(profile),
          initialTime: options.initialTime,
          qemuArgs: profile.qemuArgs,
          accel: host.accel,
          transport: host.vmm.kind === "local" && host.transport === "serial" ? "local" : host.transport,
          directory: host.directory(this.name),
        },
        deadline,
      );
      this.lastConsole = machine.console;
      session = new Session(
        this.name,
        machine,
        host.openGuest,
        grant.release,
        (error) => this.broke(error),
        () => this.phase === "booted",
      );
      this.starting = session;
      yield* session.open(deadline);
      for (const link of this.links) yield* link.ready(session.guest);
      this.begin(session, memoryBytes, monotonic() - started);
    } catch (error) {
      if (session === undefined) grant.release();
      try {
        throw yield* this.bootError(error, session, bound.text);
      } finally {
        session?.end(new ProviumError(`${this.label} did not boot`));
      }
    } finally {
      this.starting = undefined;
      for (const link of this.links) link.handedOver();
      this.disks.handedOver();
    }
  }

  /** What a failed boot says: the machine's own story, or how long was waited and what the console showed. */
  private *bootError(error: unknown, session: Session | undefined, bound: string): Op<unknown> {
    if (error instanceof InterruptedError) return error;
    if (session !== undefined && !(error instanceof TimeoutError)) yield* session.deathNews();
    const death = session?.machine.death;
    if (session !== undefined && death !== undefined) return session.deathError("boot", death);
    if (!(error instanceof TimeoutError)) return error;
    const tail = session?.machine.console.tail(4096) ?? "";
    return new TimeoutError(
      `${this.label} did not boot within ${bound}: ${error.message}${consoleLines(tail)}`,
      {
        hint: "Give it longer with boot{boot_timeout = ...}, or see in the console lines where the guest stopped.",
      },
    );
  }

  private begin(session: Session, memoryBytes: number, bootMs: number): void {
    this.session = session;
    this.death = undefined;
    this.boots++;
    this.lastCid = session.machine.cid;
    this.phase = "booted";
    this.host.emit("vm_spawned", {
      file: this.host.file,
      vm_name: this.name,
      profile: this.profile.name,
      memory_bytes: memoryBytes,
      cid: session.machine.cid ?? 0,
      transport: session.machine.transport,
      boot_ns: ns(bootMs),
    });
  }

  private *powerOff(session: Session, deadline: number): Op<void> {
    const machine = session.machine;
    machine.expectExit();
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
    const base = { file: this.host.file, vm_name: this.name, state };
    this.host.emit("vm_state", reason === undefined ? base : { ...base, reason });
  }

  /** The session is over, by wish. */
  private finish(session: Session, state: VmState, reason?: string): void {
    this.session = undefined;
    session.end(
      new VmDeadError(`${this.label} was ${reason === "killed" ? "killed" : "shut down"} meanwhile`, ""),
    );
    this.closed(session, state, reason);
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
    this.enter(state, reason);
    this.host.emit("vm_shutdown", {
      file: this.host.file,
      vm_name: this.name,
      duration_ns: ns(monotonic() - session.started),
    });
  }
}

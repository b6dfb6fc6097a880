/**
 * One running QEMU: its process, monitor, consoles and the way to the agent, and the one answer to "is it
 * still there". Whoever notices the end first (pvpanic, a console, the monitor, the process, the agent's port),
 * `death` is decided once, from everything that can be read at that moment.
 */

import type { Channel, ChannelListener } from "../channel/channel.ts";
import { openSerial } from "../channel/serial.ts";
import { connectVsock } from "../channel/vsock.ts";
import { HostError, ProviumError, TimeoutError } from "../errors/errors.ts";
import { AGENT_PORT, SERIAL_PORT_NAME } from "../guest/messages.ts";
import type { DiskLink, LaunchSpec, Machine, MachineImage, NicSpec } from "../lab/ports.ts";
import { cpuMsOf } from "../sys/cpu-time.ts";
import { closeFd, dupFd } from "../sys/libc.ts";
import { after, type Deadline, type Op, until } from "../sys/op.ts";
import { type Child, exitText, type ProcessExit } from "../sys/process.ts";
import type { Reactor } from "../sys/reactor.ts";
import { Timer } from "../sys/timer.ts";
import { BOARDS, plugOf } from "./architecture.ts";
import { AGENT_DEVICE } from "./arguments.ts";
import type { Capabilities } from "./capabilities.ts";
import type { MachineConsole } from "./console.ts";
import { Departures } from "./departures.ts";
import type { DeviceFeed } from "./device-feed.ts";
import { disk, diskDevice, diskNode, FIRST_WIRE, format, wire, wireNode } from "./disks.ts";
import type { EntropyServer } from "./entropy.ts";
import { Mailbox } from "./mailbox.ts";
import { netdev, nic, nicDevice, nicWire } from "./nics.ts";
import type { Plug } from "./plug.ts";
import type { JsonObject, Qmp, QmpEvent } from "./qmp.ts";
import { saveMachine } from "./save.ts";
import type { TreeServer } from "./virtiofsd.ts";

/** How long a panic may go on printing. */
const PANIC_MS = 150;
/** A monitor command is answered in a millisecond; a host that swaps may need longer. */
const COMMAND_MS = 10_000;
/** The firmware restarts once more after a reset. One that goes on with it never comes to boot anything. */
const MANY_RESTARTS = 20;
/** Reading the devices of a snapshot takes milliseconds. */
const START_MS = 60_000;

/** What a launch has put together; the machine takes all of it over. */
export interface MachineParts {
  readonly spec: LaunchSpec;
  readonly capabilities: Capabilities;
  readonly child: Child;
  readonly qmp: Qmp;
  readonly console: MachineConsole;
  readonly reactor: Reactor;
  /** Our end of the agent's virtio-serial port, the CID to connect to, or the memory that is shared with it. */
  readonly agent: { readonly fd: number } | { readonly cid: number } | Mailbox;
  readonly entropy: EntropyServer | undefined;
  /** The RAM of the snapshot that it goes on from: what is saved later builds on it, also when the file has been removed. */
  readonly base: number | undefined;
  /** Brings it the devices of that snapshot. */
  readonly feed: DeviceFeed | undefined;
  /** Serves the guest's root. */
  readonly tree: TreeServer | undefined;
}

export class QemuMachine implements Machine {
  readonly transport: "serial" | "vsock" | "mailbox";
  readonly cid: number | undefined;
  readonly pid: number;
  readonly console: MachineConsole;
  death: Error | undefined;
  private readonly mailbox: Mailbox | undefined;
  private readonly plug: Plug;
  private readonly listeners: ((reason: Error) => void)[] = [];
  /** The guest has the agent's port open. */
  private agentOpen = false;
  /** The agent has been there at least once. */
  private agentSeen = false;
  private exitWanted = false;
  /** Between a reset and the agent's return; QEMU restarts the guest meanwhile instead of ending. */
  private resetting = false;
  private readonly departures = new Departures();
  /** The number of each disk's connection, where it is not the first. */
  private readonly wires = new Map<string, number>();
  /** It is to go on from a snapshot and has not been told to run, or still reads its devices. */
  private incoming: boolean;
  /** Restarts that QEMU has told of since the last reset was asked for. */
  private restarts = 0;
  private closed = false;
  /** Why the guest ended QEMU, from its SHUTDOWN event. */
  private shutdownReason: string | undefined;
  private panic: string | undefined;
  private verdict: Timer | undefined;
  /** The session under way, so that a death reaches who is waiting on it. */
  private session: { readonly channel: Channel; readonly listener: ChannelListener } | undefined;

  constructor(private readonly parts: MachineParts) {
    this.mailbox = parts.agent instanceof Mailbox ? parts.agent : undefined;
    this.plug = plugOf(BOARDS[parts.spec.architecture], parts.capabilities);
    this.transport = this.mailbox !== undefined ? "mailbox" : "fd" in parts.agent ? "serial" : "vsock";
    this.cid = "cid" in parts.agent ? parts.agent.cid : undefined;
    this.pid = parts.child.pid;
    this.incoming = parts.spec.saved !== undefined;
    this.agentSeen = this.incoming;
    this.console = parts.console;
    parts.qmp.onEvent((event) => this.event(event));
    parts.child.onExit((exit) => this.exited(exit));
    // Where QEMU has ended first, its exit explains more.
    parts.tree?.onEnd(() => this.dieIn(this.plug.goingDownMs));
  }

  onDeath(listener: (reason: Error) => void): void {
    if (this.death === undefined) this.listeners.push(listener);
    else listener(this.death);
  }

  /** A console has seen the kernel panic. The call trace is still to come unless `complete`. */
  panicked(reason: string, complete: boolean): void {
    this.panic ??= reason;
    if (complete) this.die();
    else this.dieIn(PANIC_MS);
  }

  cpuMs(): number | undefined {
    return cpuMsOf(this.pid);
  }

  *connect(deadline: Deadline): Op<Channel> {
    const { agent, reactor } = this.parts;
    if ("cid" in agent) {
      const abort = (): Error | undefined => this.death ?? this.gone();
      const channel = yield* connectVsock(reactor, agent.cid, AGENT_PORT, deadline, abort);
      this.agentCame();
      return this.followed(channel);
    }
    if (agent instanceof Mailbox) return this.followed(agent.connect());
    // QEMU tells of a port at most once a second, so after a reset its word may come late, and the agent of a
    // snapshot has had it open all the time. The question to the agent waits in the socket just as well.
    const there = this.agentSeen || this.resetting;
    const opened = yield* until(
      () => this.agentOpen || there || this.death !== undefined || this.closed,
      deadline,
    );
    const over = this.death ?? this.gone();
    if (over !== undefined) throw over;
    if (!opened) throw new TimeoutError(`no agent opened the port ${SERIAL_PORT_NAME} in the guest`);
    // The channel gets a descriptor of its own: it ends with its session, the port lives as long as the machine.
    return this.followed(openSerial(reactor, dupFd(agent.fd)));
  }

  *attend<T>(op: Op<T>): Op<T> {
    return yield* this.mailbox === undefined ? op : this.mailbox.attend(op);
  }

  // Where time passes only while a call waits, the machine stands still already.
  *pause(): Op<void> {
    if (this.mailbox === undefined) yield* this.command("stop");
  }

  *resume(): Op<void> {
    if (this.mailbox !== undefined) return;
    yield* this.command("cont");
    if (!this.incoming) return;
    // One that still reads its devices runs as soon as it has them.
    yield* until(() => !this.incoming || this.death !== undefined || this.closed, after(START_MS));
    if (this.incoming)
      throw this.death ?? this.gone() ?? new TimeoutError("QEMU did not start from the snapshot in time");
  }

  *save(directory: string): Op<MachineImage> {
    const { qmp, spec, entropy, base } = this.parts;
    const { pid } = this;
    try {
      return yield* saveMachine({ qmp, pid, spec, base, entropyRead: entropy?.given ?? 0 }, directory);
    } catch (error) {
      throw this.death ?? error;
    }
  }

  *powerButton(): Op<void> {
    yield* this.command("system_powerdown");
  }

  *reset(): Op<void> {
    // A restart from inside ends QEMU. Not until the agent is back: the firmware itself restarts once more.
    this.resetting = true;
    this.restarts = 0;
    // That the agent went away just before says nothing any more.
    if (this.told === undefined) this.cancelVerdict();
    if (this.parts.capabilities.actions) yield* this.command("set-action", { reboot: "reset" });
    yield* this.command("system_reset");
    yield* until(() => this.restarts > 0 || this.death !== undefined, after(COMMAND_MS));
    this.agentOpen = false;
  }

  *plugNic(spec: NicSpec): Op<void> {
    const wire = nicWire(spec.id);
    this.departures.plugged(nicDevice(spec.id));
    const { qmp } = this.parts;
    yield* this.asked(qmp.giveFd(wire, spec.wire.fd, after(COMMAND_MS)));
    try {
      yield* this.command("netdev_add", netdev(spec.id, spec.wire.kind, wire));
    } catch (error) {
      qmp.post("closefd", { fdname: wire });
      throw error;
    }
    try {
      yield* this.command("device_add", nic(spec, this.plug));
      if (!spec.up) yield* this.setLink(spec.id, false);
    } catch (error) {
      qmp.post("netdev_del", { id: wire });
      throw error;
    }
  }

  *unplugNic(id: string): Op<boolean> {
    const answer = yield* this.letGo(nicDevice(id));
    yield* this.command("netdev_del", { id: nicWire(id) });
    return answer === "gone";
  }

  *setLink(id: string, up: boolean): Op<void> {
    yield* this.command("set_link", { name: nicDevice(id), up });
  }

  *plugDisk(link: DiskLink): Op<void> {
    this.departures.plugged(diskDevice(link.id));
    this.wires.delete(link.id);
    yield* this.addWire(link, FIRST_WIRE);
    try {
      yield* this.command("blockdev-add", format(link, FIRST_WIRE));
      yield* this.command("device_add", disk(link, this.plug));
    } catch (error) {
      this.parts.qmp.post("blockdev-del", { "node-name": diskNode(link.id) });
      this.parts.qmp.post("blockdev-del", { "node-name": wireNode(link.id, FIRST_WIRE) });
      throw error;
    }
  }

  *unplugDisk(id: string): Op<string | undefined> {
    const answer = yield* this.letGo(diskDevice(id));
    if (this.death !== undefined) throw this.death;
    if (answer === "kept") return "the guest refuses to let go of it";
    if (answer === undefined) return `the guest did not answer within ${this.plug.letGoMs / 1000} s`;
    yield* this.command("blockdev-del", { "node-name": diskNode(id) });
    yield* this.command("blockdev-del", { "node-name": wireNode(id, this.wires.get(id) ?? FIRST_WIRE) });
    return undefined;
  }

  *resizeDisk(link: DiskLink, sizeBytes: number): Op<void> {
    if (!this.parts.capabilities.reopen)
      throw new HostError(`QEMU ${this.parts.qmp.version} cannot resize a disk while its machine runs`, {
        hint: "detach the disk, resize it and attach it again; or take a QEMU with `blockdev-reopen`",
      });
    const before = this.wires.get(link.id) ?? FIRST_WIRE;
    const now = before + 1;
    yield* this.addWire(link, now);
    yield* this.command("blockdev-reopen", { options: [format(link, now)] });
    this.wires.set(link.id, now);
    yield* this.command("blockdev-del", { "node-name": wireNode(link.id, before) });
    // The node has its size from below; this tells the guest.
    yield* this.command("block_resize", { "node-name": diskNode(link.id), size: sizeBytes });
  }

  expectExit(): void {
    this.exitWanted = true;
    this.mailbox?.release();
  }

  *waitExit(deadline: Deadline): Op<boolean> {
    return (yield* this.parts.child.wait(deadline)) !== undefined;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.exitWanted = true;
    this.cancelVerdict();
    this.session?.channel.close();
    this.session = undefined;
    this.parts.child.close();
    this.parts.qmp.close();
    this.parts.console.close();
    this.parts.feed?.close();
    this.parts.entropy?.close();
    this.parts.tree?.close();
    this.mailbox?.close();
    if ("fd" in this.parts.agent) closeFd(this.parts.agent.fd);
    if (this.parts.base !== undefined) closeFd(this.parts.base);
  }

  private *addWire(link: DiskLink, number: number): Op<void> {
    const name = wireNode(link.id, number);
    const { qmp } = this.parts;
    yield* this.asked(qmp.giveFd(name, link.fd, after(COMMAND_MS)));
    try {
      yield* this.command("blockdev-add", wire(link, number, name));
    } catch (error) {
      qmp.post("closefd", { fdname: name });
      throw error;
    }
  }

  private *command(name: string, args?: JsonObject): Op<void> {
    yield* this.asked(this.parts.qmp.execute(name, args, after(COMMAND_MS)));
  }

  private *letGo(device: string): Op<"gone" | "kept" | undefined> {
    const order = this.command("device_del", { id: device });
    const over = (): boolean => this.death !== undefined || this.closed;
    return yield* this.departures.ask(device, order, over, this.plug.letGoMs);
  }

  /** What the monitor was asked; if the machine died under it, that is the error. */
  private *asked(op: Op<unknown>): Op<void> {
    try {
      yield* op;
    } catch (error) {
      throw this.death ?? error;
    }
  }

  private event(event: QmpEvent): void {
    const { data } = event;
    if (event.name === "VSERPORT_CHANGE" && data.id === AGENT_DEVICE) this.portChanged(data.open === true);
    else if (event.name === "GUEST_PANICKED") {
      // By now the kernel has printed why.
      this.console.drain();
      this.panic ??= "its pvpanic device was written";
      this.die();
    } else if (event.name === "SHUTDOWN") this.shutdownReason ??= String(data.reason ?? "");
    else if (event.name === "RESET") this.hasRestarted(data);
    else if (event.name === "RESUME") this.incoming = false;
    else this.departures.heard(event);
  }

  private hasRestarted({ guest }: JsonObject): void {
    this.restarts++;
    if (this.resetting && this.restarts === MANY_RESTARTS) this.die();
    if (this.parts.capabilities.actions || this.resetting || guest !== true) return;
    this.shutdownReason = "guest-reset";
    this.parts.qmp.post("quit", {});
  }

  private portChanged(open: boolean): void {
    const lost = this.agentOpen && !open;
    this.agentOpen = open;
    // Word that comes behind the order to reset may be of the agent before it: only a frame shows that it is back.
    if (open && !this.resetting) this.agentCame();
    else if (lost && !this.resetting) this.dieIn(this.plug.goingDownMs);
  }

  /** The guest is up again: from now on a restart from inside is its end. */
  private agentCame(): void {
    this.agentSeen = true;
    if (!this.resetting) return;
    this.resetting = false;
    if (this.parts.capabilities.actions) this.parts.qmp.post("set-action", { reboot: "shutdown" });
  }

  private exited(exit: ProcessExit): void {
    // What QEMU and the guest said last is in the sockets: it explains the exit.
    this.parts.qmp.drain();
    this.console.drain();
    this.die(exit);
  }

  /** Decides in `ms`, unless something that knows more decides earlier. */
  private dieIn(ms: number): void {
    if (this.death === undefined && !this.exitWanted && !this.closed)
      this.verdict ??= new Timer(this.parts.reactor, ms, () => this.die());
  }

  private cancelVerdict(): void {
    this.verdict?.cancel();
    this.verdict = undefined;
  }

  /** What has been told of an end that no return of the agent undoes. */
  private get told(): string | undefined {
    return this.panic ?? this.parts.tree?.end;
  }

  private die(exit?: ProcessExit): void {
    if (this.death !== undefined || this.exitWanted || this.closed) return;
    this.cancelVerdict();
    if (exit === undefined) {
      this.console.drain();
      // A port that was closed and opened again belongs to an agent that has come back.
      if (this.death !== undefined) return;
      if (this.told === undefined && this.agentOpen) return;
    }
    this.death = this.reason(exit);
    const session = this.session;
    this.session = undefined;
    session?.channel.close();
    session?.listener.closed(this.death);
    for (const listener of this.listeners.splice(0)) listener(this.death);
  }

  private reason(exit: ProcessExit | undefined): Error {
    if (this.panic !== undefined) return new ProviumError(`the guest's kernel panicked: ${this.panic}`);
    if (this.resetting && this.restarts >= MANY_RESTARTS)
      return new HostError("the machine restarts again and again after its reset, before anything boots", {
        // With ECAM on, SeaBIOS 1.14 does not find the chipset again behind a reset.
        hint: 'SeaBIOS before 1.15 does so: give QEMU a later one (qemu_args = ["-bios", PATH]), or kill the VM and boot it',
      });
    if (exit === undefined) return new ProviumError(this.parts.tree?.end ?? "the agent went away");
    if (this.shutdownReason === "guest-shutdown") return new ProviumError("the guest powered itself off");
    if (this.shutdownReason === "guest-reset" && !this.agentSeen)
      return new ProviumError("the guest restarted before its agent was up", {
        hint: "its kernel may have crashed too early to say so: give it more memory, or boot it without `quiet`",
      });
    if (this.shutdownReason === "guest-reset")
      return new ProviumError("the guest rebooted by itself", {
        hint: "a reboot from inside ends the machine; use vm:reset() to restart it",
      });
    const said = this.parts.child.output().trim();
    return new ProviumError(
      `QEMU ended unexpectedly with ${exitText(exit)}${said === "" ? "" : `; it said: ${said}`}`,
    );
  }

  private gone(): Error | undefined {
    return this.closed ? new ProviumError("the machine was closed") : undefined;
  }

  /**
   * Remembers who listens on the channel, to tell them of a death that the channel itself cannot see. The first
   * frame shows that the agent is there, long before QEMU may tell of its port.
   */
  private followed(channel: Channel): Channel {
    const listen = channel.listen.bind(channel);
    channel.listen = (listener) => {
      this.session = { channel, listener };
      let silent = true;
      listen({
        frame: (body) => {
          if (silent) this.agentCame();
          silent = false;
          listener.frame(body);
        },
        closed: (reason) => listener.closed(reason),
      });
    };
    return channel;
  }
}

/** Stand-ins for the ports of the model: machines that boot at once and do what a test says. */

import { join } from "node:path";
import type { Channel, ChannelListener } from "../../../src/channel/channel.ts";
import type { Profile } from "../../../src/config/schema.ts";
import { HostError } from "../../../src/errors/errors.ts";
import type { Emit, EventKind } from "../../../src/events/types.ts";
import type { VmHost } from "../../../src/lab/host.ts";
import type { LeaseBook, Service, Uplink, UplinkWay } from "../../../src/lab/network-host.ts";
import type {
  Actor,
  AgentState,
  BootRequest,
  ConsolePort,
  DiskLink,
  DiskSpec,
  Guest,
  HostDisk,
  InterfaceSetup,
  LaunchSpec,
  Machine,
  MachineImage,
  NicSpec,
  ParkedSession,
  SessionMark,
} from "../../../src/lab/ports.ts";
import { networkOf, type Subnet } from "../../../src/lab/subnet.ts";
import type { Backend, BackendBridge, Counters, Plan } from "../../../src/net/backend.ts";
import { closeFd, pipePair, writeSome } from "../../../src/sys/libc.ts";
import { NEVER, type Op, Pending, sleep, until } from "../../../src/sys/op.ts";
import { Reactor, type Tended } from "../../../src/sys/reactor.ts";

/** An operation that has its result at once. */
export function* at<T>(make: () => T): Op<T> {
  yield* until(() => true);
  return make();
}

/** Runs an operation that has nothing real to wait for; waits by polling the wait itself. */
export const run = <T>(op: Op<T>): T => new Reactor().run(op);

export class FakeChannel implements Channel {
  readonly transport = "serial";
  readonly queued = 0;
  readonly received = 0;
  listener: ChannelListener | undefined;
  closed = false;
  send(): void {}
  queue(): void {}
  recycle(): void {}
  drained = (): Op<void> => at(() => {});
  listen(listener: ChannelListener): void {
    this.listener = listener;
  }
  close(): void {
    this.closed = true;
    this.listener = undefined;
  }
  /** The agent's end goes away. */
  hangUp(reason: string): void {
    this.listener?.closed(new Error(reason));
  }
}

export class FakeMachine implements Machine {
  readonly transport = "serial";
  readonly cid = 12;
  readonly pid = 1;
  readonly calls: string[] = [];
  readonly channels: FakeChannel[] = [];
  death: Error | undefined;
  text = "";
  /** So much of the console is not there any more. */
  lost = 0;
  exits = true;
  private listener: ((reason: Error) => void) | undefined;
  private wanted = false;

  readonly console: ConsolePort;

  constructor(readonly spec: LaunchSpec) {
    const machine = this;
    this.console = {
      log: () => new TextEncoder().encode(machine.text),
      tail: () => machine.text,
      get length() {
        return machine.text.length;
      },
      read: (offset) => new TextEncoder().encode(offset < machine.lost ? "" : machine.text.slice(offset)),
      kept: (offset) => Math.max(offset, machine.lost),
      write: () => at(() => {}),
      socketPath: () => "/run/console",
    };
  }

  onDeath(listener: (reason: Error) => void): void {
    this.listener = listener;
  }
  die(reason: string): void {
    if (this.wanted) return;
    this.death = new Error(reason);
    this.listener?.(this.death);
  }
  connect(): Op<Channel> {
    return at(() => {
      const channel = new FakeChannel();
      this.channels.push(channel);
      return channel;
    });
  }
  pause = (): Op<void> => this.note("pause");
  resume = (): Op<void> => this.note("resume");
  reset = (): Op<void> => this.note("reset");
  powerButton = (): Op<void> => this.note("powerButton");
  plugNic = (nic: NicSpec): Op<void> => this.note(`plug ${nic.id}`);
  *unplugNic(id: string): Op<boolean> {
    yield* this.note(`unplug ${id}`);
    return true;
  }
  setLink = (id: string, up: boolean): Op<void> => this.note(`link ${id} ${up ? "up" : "down"}`);
  plugDisk = (disk: DiskLink): Op<void> => this.note(`plugDisk ${disk.id}`);
  /** What the guest says about a disk that is to go. */
  keeps: string | undefined;
  *unplugDisk(id: string): Op<string | undefined> {
    yield* this.note(`unplugDisk ${id}`);
    return this.keeps;
  }
  resizeDisk = (disk: DiskLink, size: number): Op<void> => this.note(`resizeDisk ${disk.id} ${size}`);
  *save(directory: string): Op<MachineImage> {
    yield* this.note(`save ${directory}`);
    return { qemu: "7.2.0", files: [{ name: "ram", bytes: 4096, checksum: "0" }], entropyRead: 0 };
  }
  expectExit(): void {
    this.wanted = true;
  }
  *waitExit(): Op<boolean> {
    yield* this.note("waitExit");
    return this.exits;
  }
  close(): void {
    this.calls.push("close");
  }
  private note(call: string): Op<void> {
    return at(() => {
      this.calls.push(call);
    });
  }
}

/** A disk that only remembers its size and its connections. */
export class FakeDisk {
  readonly id: string;
  readonly readonly: boolean;
  readonly path: string;
  sizeBytes: number;
  closed = false;
  connections = 0;

  constructor(readonly spec: DiskSpec) {
    this.id = spec.id;
    this.readonly = spec.readonly;
    this.path = spec.path ?? "/temporary";
    this.sizeBytes = spec.sizeBytes ?? 1024;
  }

  // Above every descriptor of this process, so that closing it hits nobody.
  connect = (): Op<number> => at(() => 1_000_000 + ++this.connections);
  disconnect = (): Op<void> => at(() => {});
  resize = (sizeBytes: number): Op<void> =>
    at(() => {
      this.sizeBytes = sizeBytes;
    });
  close(): void {
    this.closed = true;
  }
}

/** A guest whose `run` waits until the session ends, and whose other operations are absent. */
export class FakeGuest implements Guest {
  readonly identity = {
    protocol: 1,
    agentVersion: "0",
    kernelRelease: "6",
    arch: "x86_64",
    features: [] as string[],
    boottimeNs: 0,
  };
  readonly calls: string[] = [];
  private readonly waiting = new Set<Pending<never>>();
  closed: Error | undefined | "quietly";
  ended: Error | undefined;

  constructor(
    channel: Channel,
    /** What it goes on from. */
    readonly mark?: SessionMark,
  ) {
    channel.listen({
      frame: () => {},
      closed: (reason) => {
        this.ended = reason;
        this.failAll(reason);
      },
    });
  }
  onEnd(): void {}

  readonly main = {
    run: () => this.hang(),
    clockGet: () => at(() => 5),
  } as unknown as Actor;

  echo(data: Uint8Array): Op<Uint8Array> {
    return at(() => data);
  }
  state(): Op<AgentState> {
    return at(() => ({ processes: 0, tasks: 1, ioFds: 3, taskFds: 3, queuedBytes: 0, rssBytes: 0 }));
  }
  readonly interfaces: InterfaceSetup[] = [];
  hosts = "";
  setupInterface(setup: InterfaceSetup): Op<string> {
    return at(() => {
      this.interfaces.push(setup);
      return "eth0";
    });
  }
  setHosts(lines: string): Op<void> {
    return at(() => {
      this.hosts = lines;
    });
  }
  shutdown(): Op<void> {
    return at(() => {
      this.calls.push("shutdown");
    });
  }
  park(): Op<ParkedSession> {
    return at(() => {
      this.calls.push("park");
      const mark = { token: 1, lastRequest: 2, lastProcess: 3, lastWorker: 4 };
      return { mark, revive: (guest) => (guest as FakeGuest).calls.push("revive") };
    });
  }
  unpark(): void {
    this.calls.push("unpark");
  }
  close(reason?: Error): void {
    this.closed ??= reason ?? "quietly";
    this.failAll(reason);
  }
  private failAll(reason: Error | undefined): void {
    for (const pending of this.waiting) pending.fail(reason);
  }
  private *hang(): Op<never> {
    const pending = new Pending<never>();
    this.waiting.add(pending);
    yield* until(() => pending.settled);
    return pending.take();
  }
}

/** A backend that only notes. Descriptors are those of pipes, so that closing them means something. */
export class FakeNetwork {
  readonly notes: string[] = [];
  plans: Plan[] = [];
  /** The plan that the backend was done with last. */
  inForce: Plan | undefined;
  /** What the backend cannot do. */
  refuses: (plan: Plan) => boolean = () => false;
  /** What the recorder of a capture has seen and writes when it gets to it. */
  readonly late: string[] = [];
  /** How long it takes to put a plan in force, the next one first; no time from the last one on. */
  applyMs: number[] = [];
  opened = 0;
  death: Error | undefined;
  counted: Counters = { rxBytes: 1, txBytes: 2, rxPackets: 3, txPackets: 4, errors: 0 };
  private ports = 0;

  openBackend = (): Op<Backend> =>
    at(() => {
      this.opened++;
      return this.backend();
    });
  openUplink = (_bridge: BackendBridge, subnet: Subnet, way: UplinkWay = "user"): Op<Uplink> =>
    this.service(`uplink ${networkOf(subnet)}`, { way });
  openDhcp = (_bridge: BackendBridge, book: LeaseBook): Op<Service> =>
    this.service(`dhcp ${book.bridge}`, {});

  private *service<More>(what: string, more: More): Op<Service & More> {
    this.notes.push(what);
    // As a real one it takes its time.
    yield* sleep(1);
    return {
      ...more,
      port: ++this.ports,
      close: () => at(() => void this.notes.push(`end ${what}`)),
      abandon: () => void this.notes.push(`abandon ${what}`),
    };
  }

  private backend(): Backend {
    const network = this;
    return {
      kind: "user",
      get death() {
        return network.death;
      },
      openBridge: (spec) =>
        at(() => {
          this.notes.push(`bridge ${spec.name} ${spec.gateway?.ipv4 ?? "no gateway"}`);
          return this.bridge(spec.name);
        }),
      route: () => at(() => void this.notes.push("route")),
      close: () => void this.notes.push("close network"),
    };
  }

  private bridge(name: string): BackendBridge {
    const network = this;
    return {
      openPort: (vm, mac) =>
        at(() => {
          const id = ++this.ports;
          const [reader, writer] = pipePair();
          closeFd(writer);
          this.notes.push(`port ${id} ${vm} ${mac}`);
          return {
            id,
            wire: { kind: "stream", fd: reader },
            counters: () => at(() => this.counted),
            close: () => at(() => void this.notes.push(`close port ${id}`)),
          };
        }),
      *apply(plan) {
        network.plans.push(plan);
        const ms = network.applyMs.shift() ?? 0;
        if (ms > 0) yield* sleep(ms);
        if (network.refuses(plan)) throw new HostError("this kernel cannot do that");
        network.inForce = plan;
      },
      capture: () =>
        at(() => {
          const [fd, writer] = pipePair();
          writeSome(writer, new TextEncoder().encode("pcap"));
          return {
            fd,
            behind: () => {
              const late = this.late.shift();
              if (late !== undefined) writeSome(writer, new TextEncoder().encode(late));
              return late !== undefined;
            },
            close: () =>
              at(() => {
                closeFd(fd);
                closeFd(writer);
              }),
          };
        }),
      close: () => at(() => void this.notes.push(`close bridge ${name}`)),
    };
  }
}

export const profile = (name: string): Profile => ({
  name,
  origin: "lab",
  architecture: "x86_64",
  cmdline: "quiet panic=-1",
  modules: "auto",
  injectAgent: true,
  mountPseudoFs: true,
  guestOs: "linux",
  memoryBytes: 512 * 2 ** 20,
  cpus: 1,
  qemuArgs: [],
});

export interface Fakes {
  readonly host: VmHost;
  readonly machines: FakeMachine[];
  readonly guests: FakeGuest[];
  readonly events: { kind: EventKind; payload: Record<string, unknown> }[];
  readonly requests: BootRequest[];
  /** Manifests by directory. */
  readonly files: Map<string, string>;
  /** Tokens of the sessions whose agents have rehearsed. */
  readonly rehearsals: number[];
  rehearsalFails: boolean;
  /** What goes on beside; a test lets it. */
  readonly tended: Set<Tended>;
  /** Memory that the pool has lent and not got back. */
  lent: number;
  /** Directories of lives that have not been discarded. */
  readonly directories: Set<string>;
  /** Carries no frames, and notes what it is asked for. */
  readonly network: FakeNetwork;
  readonly disks: FakeDisk[];
  /** What the next launch throws. */
  refusal: Error | undefined;
}

export const fakes = (accel: "kvm" | "tcg" = "kvm", kind: "qemu" | "local" = "qemu"): Fakes => {
  let made = 0;
  const all: Fakes = {
    machines: [],
    guests: [],
    events: [],
    requests: [],
    files: new Map(),
    rehearsals: [],
    rehearsalFails: false,
    tended: new Set(),
    lent: 0,
    directories: new Set(),
    disks: [],
    refusal: undefined,
    network: new FakeNetwork(),
    host: {
      vmm: {
        kind,
        *launch(spec) {
          if (all.refusal !== undefined) throw all.refusal;
          // As a real one it takes its time.
          yield { ready: () => true, deadline: NEVER };
          const machine = new FakeMachine(spec);
          all.machines.push(machine);
          return machine;
        },
      },
      openDisk: (spec) =>
        at(() => {
          const disk = new FakeDisk(spec);
          all.disks.push(disk);
          return disk as unknown as HostDisk;
        }),
      openGuest: (channel) =>
        at(() => {
          const guest = new FakeGuest(channel);
          all.guests.push(guest);
          return guest;
        }),
      rehearse: (channel, mark) =>
        at(() => {
          channel.close();
          if (all.rehearsalFails) throw new HostError("the agent is gone");
          all.rehearsals.push(mark.token);
        }),
      tend: (tended) => {
        all.tended.add(tended);
        return () => void all.tended.delete(tended);
      },
      resumeGuest: function* (connect, mark, _identity, _deadline, revive) {
        const guest = new FakeGuest(yield* connect(), mark);
        all.guests.push(guest);
        revive?.(guest);
        return guest;
      },
      snapshots: {
        fresh: (name) => `/run/${name}.snap`,
        create: (directory) => {
          all.files.set(directory, "");
        },
        remove: (directory) => {
          for (const path of [...all.files.keys()])
            if (path === directory || path.startsWith(`${directory}/`)) all.files.delete(path);
        },
        write: (directory, name, text) => {
          all.files.set(join(directory, name), text);
        },
        read: (directory, name) => {
          const text = all.files.get(join(directory, name));
          if (!text) throw new HostError(`there is no snapshot in ${directory}`);
          return text;
        },
        describe: (_directory, name) => at(() => ({ name, bytes: 4096, checksum: "0" })),
        verify: () => at(() => {}),
        exists: () => true,
        size: (directory) => (all.files.has(directory) ? 4096 : 0),
      },
      services: {
        draw: (_vm, memoryBytes) =>
          at(() => {
            all.lent += memoryBytes;
            return {
              release: () => {
                all.lent -= memoryBytes;
              },
            };
          }),
        claim: () => at(() => {}),
        boot: (request) =>
          at(() => {
            all.requests.push(request);
            return { kernel: "/k", initrd: "/i", cmdline: "rdinit=/sbin/provium-wrapper" };
          }),
        fixture: () =>
          at(() => {
            throw new HostError("no fixtures here");
          }),
        fixtureRestored: () => {},
      },
      emit: ((eventKind: EventKind, payload: Record<string, unknown>) => {
        all.events.push({ kind: eventKind, payload });
      }) as Emit,
      file: "a.test.lua",
      accel,
      transport: "serial",
      directory: (vm) => {
        const path = `/run/${vm}-${++made}`;
        all.directories.add(path);
        return path;
      },
      discard: (directory) => void all.directories.delete(directory),
      seed: () => 5n,
      checkHostFile: () => {},
    },
  };
  return all;
};

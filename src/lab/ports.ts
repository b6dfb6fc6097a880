/**
 * What the model of labs and VMs needs from below, as interfaces. `guest/`, `vmm/`, `net/` and `disk/`
 * implement them; `runner/` wires them together. Every call that may wait is an `Op`. What a guest's agent does is
 * in guest-ports.ts.
 */

import type { Channel, Transport } from "../channel/channel.ts";
import type { RootDisk } from "../config/schema.ts";
import type { Wire } from "../net/backend.ts";
import type { Architecture } from "../sys/architecture.ts";
import type { Deadline, Op } from "../sys/op.ts";
import type { DiskFault, FaultMode } from "./disk-faults.ts";

export type * from "./guest-ports.ts";

// --- machines ----------------------------------------------------------------------------------------------

export interface DiskSpec {
  readonly id: string;
  /** The image. Absent: a temporary one, sparse, of `sizeBytes`. */
  readonly path?: string | undefined;
  readonly sizeBytes?: number | undefined;
  readonly format: "raw" | "qcow2";
  readonly readonly: boolean;
}

/** A network interface of a machine. */
export interface NicSpec {
  /** Unique in the machine: a letter, then letters, digits and `-`. */
  readonly id: string;
  readonly mac: string;
  readonly mtu: number;
  /** Place on the bus for what is plugged in and out, 1 to 31: a machine that goes on from a snapshot has it there. */
  readonly slot: number;
  /** Whether the guest sees a carrier. */
  readonly up: boolean;
  /** Stays the caller's, who closes it when the machine has been given its own. */
  readonly wire: Wire;
}

/** A disk as a machine is given it. */
export interface DiskLink {
  readonly id: string;
  readonly readonly: boolean;
  /** Where it sits on the bus for what is plugged in and out. */
  readonly slot: number;
  /** Somebody at its other end serves the disk over NBD. Stays the caller's, who closes it when the machine has its own. */
  readonly fd: number;
}

/** How a guest mounts a tree of this host. */
export type TreeProtocol = "virtiofs" | "9p";

export interface RootTree {
  readonly path: string;
  readonly protocol: TreeProtocol;
}

/** Everything a VMM needs to start one machine; files exist already. */
export interface LaunchSpec {
  readonly name: string;
  readonly architecture: Architecture;
  readonly memoryBytes: number;
  readonly cpus: number;
  /** vmlinux, bzImage or Image. Absent on the local VMM. */
  readonly kernel?: string | undefined;
  readonly initrd?: string | undefined;
  /** The whole kernel command line. */
  readonly cmdline: string;
  readonly nics?: readonly NicSpec[] | undefined;
  readonly disks: readonly DiskLink[];
  /** The image that the guest's root file system is on. */
  readonly rootDisk?: RootDisk | undefined;
  /** The tree of this host that the guest's root is laid over. */
  readonly rootTree?: RootTree | undefined;
  readonly rngSeed?: bigint | undefined;
  /** A virtio-rng beside the CPU's own generator. A seed brings it in any case. */
  readonly hardwareRng?: boolean | undefined;
  /** Guest wall clock at boot, seconds since the epoch. */
  readonly initialTime?: number | undefined;
  /** Time is counted in instructions and nothing of the host reaches the guest: equal runs are equal. */
  readonly deterministic?: boolean | undefined;
  /** Extra QEMU arguments of the profile, as they are. */
  readonly qemuArgs: readonly string[];
  readonly accel: "kvm" | "tcg";
  readonly transport: Transport;
  /** A directory of this machine's own (logs, console), below the run directory. */
  readonly directory: string;
  /** The machine goes on from here instead of booting; the rest of the specification is that of the saved machine. */
  readonly saved?: { readonly directory: string; readonly image: MachineImage } | undefined;
}

/** One file of a snapshot, as it must be. */
export interface SavedFile {
  readonly name: string;
  /** Its length; holes count. */
  readonly bytes: number;
  /** Of its content, holes or not (src/sys/sparse.ts). */
  readonly checksum: string;
}

/** What a VMM has written of a stopped machine. */
export interface MachineImage {
  /** Version of the QEMU that wrote it; no other can read it. */
  readonly qemu: string;
  readonly files: readonly SavedFile[];
  /** Bytes that a seeded virtio-rng has given out. */
  readonly entropyRead: number;
}

export interface ConsolePort {
  /** There is no device behind it: nothing will ever be captured. */
  readonly missing?: boolean;
  /** Everything captured so far, both consoles merged, from the log on disk. */
  log(): Uint8Array;
  /** At most the last `bytes` of it, from memory. */
  tail(bytes: number): string;
  /** Total bytes captured; grows. `read` continues from any earlier value. */
  readonly length: number;
  /** Captured bytes from `offset` on, at most `limit`. Empty where they are not there any more. */
  read(offset: number, limit: number): Uint8Array;
  /** `offset`, or where the bytes that are still there go on behind it: a console that says too much is kept in part. */
  kept(offset: number): number;
  /** Queues input for the device behind /dev/console and waits until QEMU has taken it. */
  write(data: Uint8Array, deadline: Deadline): Op<void>;
  /** A Unix socket, made at the first call, by which other programs hear it and type; gone with the machine. */
  socketPath(): string;
}

export interface Machine {
  readonly transport: Transport;
  /** vsock context ID; undefined on the serial channel and the local VMM. */
  readonly cid: number | undefined;
  /** Process id of QEMU (or of the local agent). */
  readonly pid: number;
  readonly console: ConsolePort;
  /** CPU time that it has used so far; undefined where nobody can tell. */
  cpuMs?(): number | undefined;
  /** Wraps what waits for the guest, where the guest's time passes only then. */
  attend?<T>(op: Op<T>): Op<T>;
  /** Why the machine is gone, once it is: panic, exit of QEMU with its stderr, agent gone. */
  readonly death: Error | undefined;
  /** Called once, from the reactor, when `death` is set. A stop that was asked for (`expectExit`) is not a death. */
  onDeath(listener: (reason: Error) => void): void;
  /** Connects to the agent: retries with short back-off until a channel stands or the deadline passes. */
  connect(deadline: Deadline): Op<Channel>;
  pause(): Op<void>;
  /** Lets the CPUs run; a machine that was launched from a snapshot starts with this. */
  resume(): Op<void>;
  /** Writes the paused machine into a directory: RAM, devices, firmware, writable disks. It can go on afterwards. */
  save(directory: string): Op<MachineImage>;
  /** Warm reset; the caller connects anew. */
  reset(): Op<void>;
  powerButton(): Op<void>;
  /** Plugs an interface into the running machine. */
  plugNic(nic: NicSpec): Op<void>;
  /** Unplugs it: waits a bounded time for the guest to let go, then cuts the wire in any case. False: it did not let go. */
  unplugNic(id: string): Op<boolean>;
  /** Sets the carrier that the guest sees. */
  setLink(id: string, up: boolean): Op<void>;
  /** Plugs a disk into the running machine. */
  plugDisk(disk: DiskLink): Op<void>;
  /** Takes it out: waits a bounded time for the guest to let go. What the guest said when it did not, else undefined. */
  unplugDisk(id: string): Op<string | undefined>;
  /** The disk behind `disk.id` has a new size, which the connection `disk.fd` knows; the guest is told. */
  resizeDisk(disk: DiskLink, sizeBytes: number): Op<void>;
  /** From now on the end of QEMU is wanted. */
  expectExit(): void;
  /** True when QEMU has exited before the deadline. */
  waitExit(deadline: Deadline): Op<boolean>;
  /** Ends QEMU at once and releases every descriptor. Idempotent. */
  close(): void;
}

export interface Vmm {
  readonly kind: "qemu" | "local";
  /** Starts a machine: returns once QEMU runs and its monitor answers. */
  launch(spec: LaunchSpec, deadline: Deadline): Op<Machine>;
}

// --- disks -------------------------------------------------------------------------------------------------

/** Which writes behind the last flush a crash leaves: none, all, or a seeded choice of them. */
export const UNFLUSHED = ["none", "all", "random"] as const;
export type Unflushed = (typeof UNFLUSHED)[number];

/** A fault in force. */
export interface ActiveFault {
  readonly fault: DiskFault;
  readonly hits: number;
  /** How often it still strikes; undefined: for ever. */
  readonly left: number | undefined;
}

/**
 * A disk on the host: one process, through which both the guest and the test reach the image. Failures are
 * `DiskError`s with an errno. Offsets and lengths are bytes.
 */
export interface HostDisk {
  readonly id: string;
  readonly readonly: boolean;
  readonly sizeBytes: number;
  /** The image; of a temporary disk too. */
  readonly path: string;
  /** A new client of its NBD service; the descriptor is the caller's. */
  connect(): Op<number>;
  /** Ends every connection: what faults still hold back is lost, as by a power cut. */
  disconnect(): Op<void>;
  read(offset: number, length: number): Op<Uint8Array>;
  write(offset: number, data: Uint8Array): Op<void>;
  flush(): Op<void>;
  resize(sizeBytes: number): Op<void>;
  /** Copies the content into a new raw file, holes left out. */
  save(path: string): Op<void>;
  /** Replaces the content by that of a raw file of the same size. */
  load(path: string): Op<void>;
  /** Adds a fault; one of the same mode and range is replaced. */
  setFault(fault: DiskFault): Op<void>;
  clearFaults(mode?: FaultMode): Op<void>;
  faults(): Op<readonly ActiveFault[]>;
  /** Logs from now on every write and flush. */
  startLog(): Op<void>;
  stopLog(): Op<void>;
  logState(): Op<{ readonly writes: number; readonly flushes: number }>;
  /** A raw image of what a crash right after flush number `flush` leaves (0: as the log began). */
  crashImage(path: string, flush: number, unflushed: Unflushed, seed: bigint): Op<void>;
  /** Ends its process. Idempotent. */
  close(): void;
}

/** Opens the image of a disk, or makes one in `directory`. `what` names it in errors: "boot: image of disk `d`". */
export type OpenDisk = (spec: DiskSpec, directory: string, what: string) => Op<HostDisk>;

// --- snapshots on disk ---------------------------------------------------------------------------------------------

/** The directories of snapshots, each with a manifest beside the files that a machine has written. */
export interface SnapshotFiles {
  /** A path where nothing is yet, for a snapshot that lives as long as the file. */
  fresh(name: string): string;
  /** Makes the directory. HostError when there is something already. */
  create(directory: string): void;
  /** Removes it with all that is in it. Harmless when it is not there. */
  remove(directory: string): void;
  /** Writes a text beside what is there. A manifest comes last: with it the snapshot is whole. */
  write(directory: string, name: string, text: string): void;
  /** The text `name`, by which the snapshot is known. HostError naming the path when it is not there. */
  read(directory: string, name: string): string;
  /** What a file beside it must be from now on. */
  describe(directory: string, name: string): Op<SavedFile>;
  /** Throws HostError naming the file that is no longer what it must be. */
  verify(directory: string, files: readonly SavedFile[]): Op<void>;
  /** Whether a host file is there. */
  exists(path: string): boolean;
  /** What the directory takes on disk with all that is below it, in bytes; 0 when it is not there. */
  size(directory: string): number;
}

// --- what the dispatcher does for a runner ---------------------------------------------------------------------

/** A file placed in the initramfs before init runs, at an absolute guest path: `content`, or `host`, an absolute host path. */
export interface InjectedFile {
  readonly path: string;
  readonly content?: Uint8Array | undefined;
  readonly host?: string | undefined;
  /** Permission bits; those of the host file, else 0644, when absent. */
  readonly mode?: number | undefined;
}

export interface BootRequest {
  readonly profile: string;
  readonly files: readonly InjectedFile[];
  /** The machine starts with disks, so their driver has to be there before the agent answers. */
  readonly disks: boolean;
}

/** Ready-made artefacts of a boot. */
export interface BootArtefacts {
  readonly kernel: string;
  readonly initrd: string;
  /** Words to be added to the kernel command line (rdinit=, provium.init=, …). */
  readonly cmdline: string;
  /** How the guest gets the tree that its profile has for a root. */
  readonly tree?: TreeProtocol | undefined;
}

/** A fixture as a test asks for it. */
export interface FixtureRequest {
  readonly name: string;
  /** Which layout is looked at first: that of `provium.fixture`, or of `vm_fixture` and `lab_fixture`. */
  readonly rule: "classic" | "lab";
  readonly kind: "vm" | "lab";
  /** What was handed out before could not be restored. */
  readonly failed?: { readonly build: string; readonly reason: string } | undefined;
}

/** A snapshot to be restored. */
export interface FixtureAnswer {
  readonly directory: string;
  /** The fixture as people know it. */
  readonly title: string;
  /** Tells this build of it from others. */
  readonly build: string;
  /** For `fixtureRestored`. */
  readonly lease: number;
}

export interface Services {
  /** Waits for memory and CPUs of the pool; `release` gives them back. */
  draw(vm: string, memoryBytes: number, cpus: number): Op<{ release(): void }>;
  /** Waits until the pool holds so much for the file, to its end; machines draw on it first. */
  claim(memoryBytes: number, cpus: number): Op<void>;
  boot(request: BootRequest): Op<BootArtefacts>;
  /** Waits until the fixture is in the cache. Its snapshot stays there until `fixtureRestored`. */
  fixture(request: FixtureRequest): Op<FixtureAnswer>;
  fixtureRestored(lease: number): void;
}

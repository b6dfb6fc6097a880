/**
 * What the model of labs and VMs needs from below, as interfaces. `guest/`, `vmm/`, `net/` and `disk/`
 * implement them; `runner/` wires them together. Every call that may wait is an `Op`.
 */

import type { Channel, Transport } from "../channel/channel.ts";
import type { RootDisk } from "../config/schema.ts";
import type { Wire } from "../net/backend.ts";
import type { Architecture } from "../sys/architecture.ts";
import type { Deadline, Op } from "../sys/op.ts";
import type { DiskFault, FaultMode } from "./disk-faults.ts";

/** A Lua or wire integer: a number while it is safe, else a bigint. */
export type Integer = number | bigint;

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
  /** Everything captured so far, both consoles merged, from the log on disk. */
  log(): Uint8Array;
  /** At most the last `bytes` of it, from memory. */
  tail(bytes: number): string;
  /** Total bytes captured; grows. `read` continues from any earlier value. */
  readonly length: number;
  /** Captured bytes from `offset` on, at most `limit`. */
  read(offset: number, limit: number): Uint8Array;
  /** Queues input for the device behind /dev/console and waits until QEMU has taken it. */
  write(data: Uint8Array, deadline: Deadline): Op<void>;
}

export interface Machine {
  readonly transport: Transport;
  /** vsock context ID; undefined on the serial channel and the local VMM. */
  readonly cid: number | undefined;
  /** Process id of QEMU (or of the local agent). */
  readonly pid: number;
  readonly console: ConsolePort;
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

// --- guests ------------------------------------------------------------------------------------------------

/** What the agent said in READY. */
export interface GuestIdentity {
  readonly protocol: number;
  readonly agentVersion: string;
  readonly kernelRelease: string;
  readonly arch: string;
  readonly features: readonly string[];
  /** CLOCK_BOOTTIME of the agent's start, nanoseconds. */
  readonly boottimeNs: Integer;
}

export interface Command {
  /** Argument vector; a shell command is `["/bin/sh", "-c", text]`. */
  readonly argv: readonly Uint8Array[];
  /** `K=V` entries. */
  readonly env: readonly Uint8Array[];
  readonly envClear: boolean;
  readonly cwd?: Uint8Array | undefined;
  readonly stdin?: Uint8Array | undefined;
  /** Keep stdin open for `stdinWrite`. */
  readonly stdinOpen: boolean;
  /** Hard limit in ms enforced by the agent (SIGKILL to the group); 0 for none. */
  readonly timeoutMs: number;
}

export interface ExitStatus {
  readonly how: "exited" | "signalled";
  /** Exit status or signal number. */
  readonly code: number;
  readonly timedOut: boolean;
}

export interface CommandResult extends ExitStatus {
  readonly stdout: Uint8Array;
  readonly stderr: Uint8Array;
}

/**
 * Bytes that the guest pushes as they come: an output of a process, a tailed file, a descriptor. What nobody takes
 * is held on the host within a bound; beyond it the writer in the guest is held back.
 */
export interface OutputStream {
  /** The oldest pending bytes, at most `limit`, removed; the guest may send as many more. Undefined: nothing is pending. */
  take(limit: number): Uint8Array | undefined;
  /** How many bytes wait to be taken. */
  readonly pending: number;
  /** Nothing more comes: end of the stream, or of the session. What is pending can still be taken. */
  readonly ended: boolean;
  /** Why it ended, when that was not its natural end: the session was lost, the descriptor cannot be read. */
  readonly failure: Error | undefined;
}

/** An output stream with a reader of its own in the guest. Wait with `until(() => stream.pending > 0 || stream.ended)`. */
export interface GuestStream extends OutputStream {
  readonly handle: number;
  /** Drops what is pending and ends the reader in the guest. Idempotent. */
  close(): Op<void>;
}

/** Where a tail begins: at an offset, as many bytes before the end (clamped to the start), or behind the last byte. */
export type TailStart = { readonly offset: Integer } | { readonly fromEnd: Integer } | "end";

/** A started command. Output is collected on the host within a bounded window until somebody takes it. */
export interface GuestProcess {
  readonly handle: number;
  readonly pid: number;
  /** The exit record once the process has ended. */
  readonly exit: ExitStatus | undefined;
  /** Waits for exit and the end of both outputs (or 100 ms after the exit when an orphan holds a pipe). Undefined: the deadline passed. */
  wait(deadline: Deadline): Op<CommandResult | undefined>;
  /** What has been collected so far of stream 1 (stdout) or 2 (stderr), without removing it. */
  collected(stream: 1 | 2): Uint8Array;
  /** An output as a stream. What is taken from it is missing from the result of `wait` and from `collected`. */
  stream(stream: 1 | 2): OutputStream;
  signal(signal: number, group: boolean): Op<void>;
  stdinWrite(data: Uint8Array): Op<void>;
  stdinClose(): Op<void>;
  status(): Op<{ readonly running: boolean; readonly exit: ExitStatus | undefined }>;
  /** Ends the process if it runs (SIGTERM, SIGKILL after `graceMs`) and frees the agent's slot. Idempotent. */
  close(graceMs: number): Op<void>;
}

export type EntryType =
  | "file"
  | "directory"
  | "symlink"
  | "fifo"
  | "socket"
  | "block_device"
  | "char_device"
  | "other";

export interface FileStat {
  readonly size: Integer;
  readonly mtimeNs: Integer;
  readonly perm: number;
  readonly type: EntryType;
  readonly uid: number;
  readonly gid: number;
  readonly ino: Integer;
  readonly nlink: number;
}

export interface SyscallRequest {
  /** A number, or a name that has the number of the guest's architecture. */
  readonly nr: Integer | string;
  readonly args: readonly Integer[];
  readonly bufs: readonly Uint8Array[];
  /** 0-based slot for each buffer, -1 for one used only as a child. */
  readonly ptrs: readonly number[];
  /** (parent, child, offset) triples, 0-based buffer indices. */
  readonly nested: readonly (readonly [number, number, number])[];
}

export interface SyscallResult {
  /** The kernel's value: -errno on failure. */
  readonly ret: Integer;
  /** The buffers after the call. */
  readonly out: readonly Uint8Array[];
}

/** A system call that is under way in the guest, in a process of its own that shares the task's memory and descriptors. */
export interface PendingCall {
  readonly handle: number;
  /** Of the process that makes the call. */
  readonly pid: number;
  /** The call has returned, failed, or was cancelled: `wait` does not wait. */
  readonly done: boolean;
  /** The result; undefined: the deadline passed. GuestError when the call was cancelled or its process ended under it. */
  wait(deadline: Deadline): Op<SyscallResult | undefined>;
  /** Ends the call by ending its process. Idempotent, harmless once done. */
  cancel(): Op<void>;
}

export interface IoctlRequest {
  readonly fd: Integer;
  readonly request: Integer;
  readonly arg: Integer;
  readonly data?: Uint8Array | undefined;
  readonly bufs: readonly Uint8Array[];
  readonly offsets: readonly number[];
}

export interface AgentState {
  readonly processes: number;
  readonly tasks: number;
  readonly ioFds: number;
  readonly taskFds: number;
  readonly queuedBytes: number;
  readonly rssBytes: number;
}

/** Guest operations of one actor (the main task or a worker). `deadline` bounds each call; failures of the guest are `GuestError`. */
export interface Actor {
  start(command: Command): Op<GuestProcess>;
  /** Start, wait, close in one. */
  run(command: Command): Op<CommandResult>;
  readFile(path: Uint8Array): Op<Uint8Array>;
  /** `perm` undefined: 0666 & ~umask, as creat(2) would. */
  writeFile(path: Uint8Array, data: Uint8Array, perm?: number): Op<void>;
  /** Streams a host file into the guest with bounded memory. */
  pushFile(hostPath: string, path: Uint8Array, perm?: number): Op<void>;
  stat(path: Uint8Array, follow: boolean): Op<FileStat>;
  list(path: Uint8Array): Op<readonly { readonly name: Uint8Array; readonly type: EntryType }[]>;
  mkdir(path: Uint8Array, parents: boolean, perm?: number): Op<void>;
  unlink(path: Uint8Array): Op<void>;
  rename(from: Uint8Array, to: Uint8Array): Op<void>;
  /** Mode bits: read 1, write 2, create 4, truncate 8, append 16, exclusive 32. `perm` undefined: 0666 & ~umask. Answers the task's descriptor. */
  open(path: Uint8Array, mode: number, perm?: number): Op<number>;
  /** At the cursor; empty at the end of the file. May be short. */
  read(fd: Integer, length: number): Op<Uint8Array>;
  /** At the cursor; answers how many bytes were written. */
  write(fd: Integer, data: Uint8Array): Op<number>;
  /** Answers the new absolute offset. */
  seek(fd: Integer, offset: Integer, whence: "set" | "cur" | "end"): Op<Integer>;
  closeFd(fd: Integer): Op<void>;
  /** Closes without waiting for the answer; for clean-up. */
  dropFd(fd: Integer): void;
  /** Follows a file by its name, through truncation and rotation. */
  tail(path: Uint8Array, start: TailStart): Op<GuestStream>;
  /** Follows an open file from its cursor, which stays where it is; by `path` too, where that is known. */
  tailFd(fd: Integer, path?: Uint8Array): Op<GuestStream>;
  /** Reads a descriptor (pipe, socket, device) until its end. */
  fdStream(fd: Integer): Op<GuestStream>;
  syscall(request: SyscallRequest): Op<SyscallResult>;
  /** Starts a system call that may block for ever. */
  syscallAsync(request: SyscallRequest): Op<PendingCall>;
  /** Bytes of the task's own address space. GuestError (EFAULT) where nothing is mapped. */
  readMem(address: Integer, length: number): Op<Uint8Array>;
  /** A further actor made from this one: a fork of its task, or a thread of it. */
  spawnWorker(options: { readonly thread: boolean }): Op<WorkerActor>;
  ioctl(request: IoctlRequest): Op<{
    readonly ret: Integer;
    readonly data: Uint8Array | undefined;
    readonly out: readonly Uint8Array[];
  }>;
  mountVfs(): Op<readonly string[]>;
  clockGet(): Op<Integer>;
  clockSet(ns: Integer): Op<void>;
  clockAdvance(ns: Integer): Op<Integer>;
}

/** A task that a test has made. */
export interface WorkerActor extends Actor {
  /** Its number in the session, 2 and up. */
  readonly id: number;
  readonly pid: number;
  /** Differs from `pid` for a thread. */
  readonly tid: number;
  readonly thread: boolean;
  /** Why it is gone, once it is: killed, exited, replaced, ended, session lost. Calls fail with it then. */
  readonly gone: Error | undefined;
  /** Ends it (a fork by SIGKILL, a thread by leaving its loop); returns when it is gone. Idempotent. */
  end(): Op<void>;
}

/** What an interface of the guest is to become. Addresses are "10.1.2.3/24", routes "10.2.0.0/24 10.1.2.1". */
export interface InterfaceSetup {
  readonly mac: string;
  readonly mtu: number;
  readonly addresses: readonly string[];
  readonly routes: readonly string[];
  readonly dropRoutes: readonly string[];
  /** How long an interface that is not there yet is waited for. */
  readonly timeoutMs: number;
}

/** Where a session stood when it was parked: enough for another host to go on with it. */
export interface SessionMark {
  /** Names the session to the agent. */
  readonly token: number;
  /** The last numbers that the host has given out. */
  readonly lastRequest: number;
  readonly lastProcess: number;
  readonly lastWorker: number;
}

/** A session at rest: nothing is on its way in either direction, and the agent says nothing until it is resumed. */
export interface ParkedSession {
  readonly mark: SessionMark;
  /** Makes the handles of the session, as they were when it was parked, work on `guest`, a session that has resumed it. */
  revive(guest: Guest): void;
}

/** A session with the agent of one machine. */
export interface Guest {
  readonly identity: GuestIdentity;
  readonly main: Actor;
  echo(data: Uint8Array): Op<Uint8Array>;
  state(): Op<AgentState>;
  /** Sets an interface up once it is there; answers its name in the guest. */
  setupInterface(setup: InterfaceSetup): Op<string>;
  /** Replaces our lines of /etc/hosts. */
  setHosts(lines: string): Op<void>;
  /** Asks for power-off; returns when the agent has acknowledged. */
  shutdown(syncMs: number, deadline: Deadline): Op<void>;
  /** Brings the session to rest, so that the machine can be saved. What is asked meanwhile waits until `unpark`. */
  park(deadline: Deadline): Op<ParkedSession>;
  /** Lets a parked session go on. Harmless when it is not parked. */
  unpark(): void;
  /** Why the session is over, once it is. */
  readonly ended: Error | undefined;
  /** Called once, from the reactor, when the session ends by itself: channel closed, protocol broken. Not after `close`. */
  onEnd(listener: (reason: Error) => void): void;
  /** Fails every pending request with `reason` (the machine died) or closes quietly. Idempotent. */
  close(reason?: Error): void;
}

/** Opens the session on a fresh channel: SYNC where the transport needs it, READY, version check. */
export type OpenGuest = (channel: Channel, deadline: Deadline) => Op<Guest>;

/** Goes on with a session that was parked when the machine was saved. `identity`: what its agent said then. */
export type ResumeGuest = (
  channel: Channel,
  mark: SessionMark,
  identity: GuestIdentity,
  deadline: Deadline,
) => Op<Guest>;

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

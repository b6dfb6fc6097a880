/**
 * What the agent of a guest does for the model: its session, actors, processes, streams and calls, as interfaces that
 * `guest/` implements.
 */

import type { Channel } from "../channel/channel.ts";
import type { Deadline, Op } from "../sys/op.ts";

/** A Lua or wire integer: a number while it is safe, else a bigint. */
export type Integer = number | bigint;

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

/**
 * Goes on with a session that was parked when the machine was saved, on what `connect` brings; it may be called again.
 * `identity`: what its agent said then. `revive` is called between the agent's consent and what it says next, which is
 * for the handles of old.
 */
export type ResumeGuest = (
  connect: () => Op<Channel>,
  mark: SessionMark,
  identity: GuestIdentity,
  deadline: Deadline,
  revive?: (guest: Guest) => void,
) => Op<Guest>;

/** The feature of agents that can `Rehearse`. */
export const REHEARSAL = "rehearsal";

/**
 * Has the agent of a parked session, over a channel that has no connections, do once for nothing what a command takes.
 * The session stays parked, and the channel is closed.
 */
export type Rehearse = (channel: Channel, mark: SessionMark, deadline: Deadline) => Op<void>;

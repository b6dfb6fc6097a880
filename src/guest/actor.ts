/**
 * The operations of one task of the guest: each method is one request of the wire, or a few.
 */

import { GuestError } from "../errors/errors.ts";
import type {
  Actor,
  Command,
  CommandResult,
  EntryType,
  FileStat,
  GuestProcess,
  GuestStream,
  IoctlRequest,
  PendingCall,
  SyscallRequest,
  SyscallResult,
  TailStart,
  WorkerActor,
} from "../lab/ports.ts";
import { after, type Op, until } from "../sys/op.ts";
import type { Client, Request, RequestOptions } from "./client.ts";
import type { RequestName } from "./codec.ts";
import { pushFile, readFile, writeFile } from "./file.ts";
import { ACTOR_IO, type Payload, type Reply } from "./messages.ts";
import type { Integer } from "./msgpack.ts";
import { RemoteCall } from "./pending-call.ts";
import { RemoteProcess, runCommand } from "./process.ts";
import { streamDescriptor, tailDescriptor, tailFile } from "./stream.ts";
import { syscallNumber } from "./syscalls.ts";
import { typeOfEntry, typeOfMode } from "./types.ts";
import { actorName, type Subject } from "./wording.ts";

const DEFAULT_DIRECTORY_PERM = 0o777;
const NO_PATH = new Uint8Array(0);
const WHENCES = { set: 0, cur: 1, end: 2 } as const;
/** A worker that does not end after this long is stuck in the kernel. */
const WORKER_END_MS = 10_000;

export class RemoteActor implements Actor {
  constructor(
    protected client: Client,
    readonly id: number,
    /** The guest's architecture, which decides about the numbers of system calls. */
    protected readonly machine: string,
  ) {}

  *start(command: Command): Op<GuestProcess> {
    return yield* RemoteProcess.start(this.client, this.id, command);
  }

  *run(command: Command): Op<CommandResult> {
    return yield* runCommand(this.client, this.id, command);
  }

  *readFile(path: Uint8Array): Op<Uint8Array> {
    return yield* readFile(this.client, this.id, path);
  }

  *writeFile(path: Uint8Array, data: Uint8Array, perm?: number): Op<void> {
    yield* writeFile(this.client, this.id, path, data, perm);
  }

  *pushFile(hostPath: string, path: Uint8Array, perm?: number): Op<void> {
    yield* pushFile(this.client, this.id, hostPath, path, perm);
  }

  *stat(path: Uint8Array, follow: boolean): Op<FileStat> {
    const stat = yield* this.ask("STAT", { path, follow }, { call: "stat", object: path });
    return {
      size: stat.size,
      mtimeNs: stat.mtime_ns,
      perm: Number(stat.perm),
      type: typeOfMode(Number(stat.type)),
      uid: Number(stat.uid),
      gid: Number(stat.gid),
      ino: stat.ino,
      nlink: Number(stat.nlink),
    };
  }

  *list(path: Uint8Array): Op<{ readonly name: Uint8Array; readonly type: EntryType }[]> {
    const entries: { readonly name: Uint8Array; readonly type: EntryType }[] = [];
    let open = -1;
    try {
      do {
        const page = yield* this.ask(
          "LISTDIR",
          { path: open < 0 ? path : NO_PATH, fd: open },
          { call: "listdir", object: path },
          (late) => open < 0 && this.release(Number(late.fd)),
        );
        page.names.forEach((name, i) => {
          entries.push({ name, type: typeOfEntry(Number(page.types[i] ?? 0)) });
        });
        open = Number(page.fd);
      } while (open >= 0);
    } finally {
      this.release(open);
    }
    return entries;
  }

  *mkdir(path: Uint8Array, parents: boolean, perm = DEFAULT_DIRECTORY_PERM): Op<void> {
    yield* this.ask("MKDIR", { path, parents, perm }, { call: "mkdir", object: path });
  }

  *unlink(path: Uint8Array): Op<void> {
    yield* this.ask("UNLINK", { path }, { call: "unlink", object: path });
  }

  *rename(from: Uint8Array, to: Uint8Array): Op<void> {
    yield* this.ask("RENAME", { from, to }, { call: "rename", object: from });
  }

  *open(path: Uint8Array, mode: number, perm = -1): Op<number> {
    const { fd } = yield* this.ask(
      "FILE_OPEN",
      { path, mode, perm },
      { call: "open_file", object: path },
      (late) => this.release(Number(late.fd)),
    );
    return Number(fd);
  }

  *read(fd: Integer, length: number): Op<Uint8Array> {
    return (yield* this.ask("FILE_READ", { fd, offset: -1, length }, { call: "read" })).data;
  }

  *write(fd: Integer, data: Uint8Array): Op<number> {
    return Number((yield* this.ask("FILE_WRITE", { fd, offset: -1, data }, { call: "write" })).written);
  }

  *seek(fd: Integer, offset: Integer, whence: "set" | "cur" | "end"): Op<Integer> {
    return (yield* this.ask("FILE_SEEK", { fd, offset, whence: WHENCES[whence] }, { call: "seek" })).offset;
  }

  *closeFd(fd: Integer): Op<void> {
    yield* this.ask("FILE_CLOSE", { fd }, { call: "close" });
  }

  dropFd(fd: Integer): void {
    this.release(Number(fd));
  }

  *tail(path: Uint8Array, start: TailStart): Op<GuestStream> {
    return yield* tailFile(this.client, this.id, path, start);
  }

  *tailFd(fd: Integer, path = NO_PATH): Op<GuestStream> {
    return yield* tailDescriptor(this.client, this.id, fd, path);
  }

  *fdStream(fd: Integer): Op<GuestStream> {
    return yield* streamDescriptor(this.client, this.id, fd);
  }

  *syscallAsync(request: SyscallRequest): Op<PendingCall> {
    return yield* RemoteCall.start(this.client, this.id, request, this.number(request));
  }

  *readMem(address: Integer, length: number): Op<Uint8Array> {
    return (yield* this.ask("READ_MEM", { address, length }, { call: "read_mem" })).data;
  }

  *spawnWorker(options: { readonly thread: boolean }): Op<WorkerActor> {
    const { thread } = options;
    const worker = this.client.newWorker();
    const started = yield* this.ask("SPAWN_WORKER", { worker, thread }, { call: "spawn" }, () =>
      this.client.post("WORKER_END", { worker }, ACTOR_IO),
    );
    const { pid, tid } = started;
    return new RemoteWorker(this.client, worker, this.machine, Number(pid), Number(tid), thread);
  }

  *syscall(request: SyscallRequest): Op<SyscallResult> {
    const { nr, args, bufs, ptrs, nested } = request;
    return yield* this.ask(
      "SYSCALL",
      {
        nr: this.number(request),
        args,
        bufs,
        ptrs,
        nested: nested.length === 0 ? [] : nested.flat(),
      },
      { call: `syscall ${nr}` },
    );
  }

  *ioctl(request: IoctlRequest): Op<{
    readonly ret: Integer;
    readonly data: Uint8Array | undefined;
    readonly out: readonly Uint8Array[];
  }> {
    const { fd, request: number, arg, data, bufs, offsets } = request;
    const reply = yield* this.ask(
      "IOCTL",
      { fd, request: number, arg, data: data ?? null, bufs, offsets },
      { call: `ioctl 0x${number.toString(16)}` },
    );
    return { ret: reply.ret, data: reply.data ?? undefined, out: reply.out };
  }

  *mountVfs(): Op<readonly string[]> {
    const { mounted } = yield* this.ask("MOUNT_VFS", {}, { call: "mount_vfs" });
    const decoder = new TextDecoder();
    return mounted.map((path) => decoder.decode(path));
  }

  *clockGet(): Op<Integer> {
    return (yield* this.ask("CLOCK_GET", {}, { call: "clock_get" })).ns;
  }

  *clockSet(ns: Integer): Op<void> {
    yield* this.ask("CLOCK_SET", { ns }, { call: "clock_set" });
  }

  *clockAdvance(ns: Integer): Op<Integer> {
    return (yield* this.ask("CLOCK_ADVANCE", { ns }, { call: "clock_advance" })).ns;
  }

  private number({ nr }: SyscallRequest): Integer {
    return typeof nr === "string" ? syscallNumber(nr, this.machine) : nr;
  }

  private ask<M extends RequestName>(
    name: M,
    payload: Payload<M>,
    subject: Subject,
    late?: (reply: Reply<M>) => void,
  ): Op<Reply<M>> {
    const options: RequestOptions<M> = { actor: this.id, subject, ...(late && { late }) };
    return this.client.call(name, payload, options);
  }

  private release(fd: number): void {
    if (fd >= 0) this.client.post("FILE_CLOSE", { fd }, this.id);
  }
}

export class RemoteWorker extends RemoteActor implements WorkerActor {
  private ending: Request<"WORKER_END"> | undefined;

  constructor(
    client: Client,
    id: number,
    machine: string,
    readonly pid: number,
    readonly tid: number,
    readonly thread: boolean,
  ) {
    super(client, id, machine);
    client.addWorker(this);
  }

  /** Goes on in another session. */
  moveTo(client: Client): void {
    this.client = client;
    this.ending = undefined;
    client.addWorker(this);
  }

  get gone(): Error | undefined {
    return this.client.ended ?? this.client.goneWorker(this.id, { call: "worker" });
  }

  *end(): Op<void> {
    if (this.client.ended !== undefined) return;
    this.ending ??= this.client.begin(
      "WORKER_END",
      { worker: this.id },
      { actor: ACTOR_IO, subject: { call: "kill", object: actorName(this.id) } },
    );
    const request = this.ending;
    this.client.retireWorker(this.id);
    // Not `request.wait()`: an interruption must not take the order back.
    if (!(yield* until(() => request.settled, after(WORKER_END_MS))))
      throw new GuestError(`${actorName(this.id)} does not end: it is stuck in a system call`, 0);
    if (this.client.ended === undefined) request.take();
  }
}

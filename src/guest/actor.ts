/**
 * The operations of one task of the guest: each method is one request of the wire, or a few.
 */

import type {
  Actor,
  Command,
  CommandResult,
  EntryType,
  FileStat,
  GuestProcess,
  IoctlRequest,
  SyscallRequest,
} from "../lab/ports.ts";
import type { Op } from "../sys/op.ts";
import type { Client, RequestOptions } from "./client.ts";
import type { RequestName } from "./codec.ts";
import { pushFile, readFile, writeFile } from "./file.ts";
import type { Payload, Reply } from "./messages.ts";
import type { Integer } from "./msgpack.ts";
import { RemoteProcess, runCommand } from "./process.ts";
import { typeOfEntry, typeOfMode } from "./types.ts";
import type { Subject } from "./wording.ts";

const DEFAULT_DIRECTORY_PERM = 0o777;
const NO_PATH = new Uint8Array(0);

export class RemoteActor implements Actor {
  constructor(
    private readonly client: Client,
    readonly id: number,
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

  *syscall(request: SyscallRequest): Op<Reply<"SYSCALL">> {
    const { nr, args, bufs, ptrs, nested } = request;
    return yield* this.ask(
      "SYSCALL",
      { nr, args, bufs, ptrs, nested: nested.length === 0 ? [] : nested.flat() },
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

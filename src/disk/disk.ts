/** A disk: its process, its image, and the faults that are in force. */

import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ApiError, DiskError } from "../errors/errors.ts";
import {
  type DiskFault,
  FAULT_MODES,
  type FaultMode,
  FLUSH_RULES,
  SECTOR_BYTES,
  sameTarget,
} from "../lab/disk-faults.ts";
import { type ActiveFault, type DiskSpec, type HostDisk, UNFLUSHED, type Unflushed } from "../lab/ports.ts";
import { closeFd, describe, errnoName, socketPair } from "../sys/libc.ts";
import type { Op } from "../sys/op.ts";
import { MAX_TRANSFER_BYTES } from "./messages.ts";
import { DiskProcess, type DiskProcessHost } from "./process.ts";
import { daemonReason, findStorageDaemon, storageDaemonArguments } from "./storage-daemon.ts";

export interface DiskHost extends DiskProcessHost {
  /** Something about the host's storage that a reader of the report should know. */
  readonly warn: (text: string) => void;
}

/** What a socket pair between QEMU and the process may hold: a few large requests. */
const SOCKET_BYTES = 1024 * 1024;
/** 1 in units of the wire's probability. */
const ALWAYS = 2 ** 32;
const EAGAIN = 11;
const EACCES = 13;
const EROFS = 30;
const NO_ARGUMENTS: readonly Uint8Array[] = [];

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

export class ServedDisk implements HostDisk {
  private readonly active = new Map<number, DiskFault>();
  private lastFault = 0;
  private logs = 0;
  private closed = false;

  private constructor(
    readonly id: string,
    readonly readonly: boolean,
    readonly path: string,
    private size: number,
    private readonly directory: string,
    private readonly server: DiskProcess,
  ) {}

  /** Opens the image of `spec`, or makes one in `directory`, a fresh one of this disk's own. */
  static *open(host: DiskHost, spec: DiskSpec, directory: string, what: string): Op<ServedDisk> {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const path = spec.path ?? join(directory, "image");
    const daemon =
      spec.format === "raw"
        ? NO_ARGUMENTS
        : storageDaemonArguments(findStorageDaemon(host.env), { ...spec, path }).map(bytes);
    const label = `disk \`${spec.id}\``;
    const told = new Set<number>();
    const server = DiskProcess.start(host, label, (errno, offset, write) => {
      if (told.has(errno)) return;
      told.add(errno);
      const deed = write ? "writing" : "reading";
      host.warn(
        `${label}: ${deed} its image ${path} failed at byte ${offset}: ${describe(errno)} (${errnoName(errno)})`,
      );
    });
    try {
      const { size } = yield* server.ask("OPEN", {
        path: bytes(daemon.length === 0 ? path : join(directory, "qsd")),
        readonly: spec.readonly,
        create: spec.path === undefined ? (spec.sizeBytes as number) : -1,
        scratch: spec.path === undefined,
        daemon,
      });
      return new ServedDisk(spec.id, spec.readonly, path, Number(size), directory, server);
    } catch (error) {
      server.close();
      throw error instanceof DiskError ? openError(what, path, error, server.output()) : error;
    }
  }

  get sizeBytes(): number {
    return this.size;
  }

  get pid(): number {
    return this.server.pid;
  }

  *connect(): Op<number> {
    const [ours, theirs] = socketPair(SOCKET_BYTES);
    try {
      yield* this.server.give("CONNECT", theirs);
      return ours;
    } catch (error) {
      closeFd(ours);
      throw error;
    } finally {
      closeFd(theirs);
    }
  }

  *disconnect(): Op<void> {
    yield* this.server.ask("DISCONNECT");
  }

  *read(offset: number, length: number): Op<Uint8Array> {
    const pieces: Uint8Array[] = [];
    for (let done = 0; done < length || done === 0; done += MAX_TRANSFER_BYTES) {
      const piece = Math.min(length - done, MAX_TRANSFER_BYTES);
      pieces.push(
        (yield* this.server.ask("READ", { offset: offset + done, length: piece })).data as Uint8Array,
      );
    }
    return pieces.length === 1 ? (pieces[0] as Uint8Array) : new Uint8Array(Buffer.concat(pieces));
  }

  *write(offset: number, data: Uint8Array): Op<void> {
    for (let done = 0; done < data.byteLength || done === 0; done += MAX_TRANSFER_BYTES)
      yield* this.server.ask("WRITE", {
        offset: offset + done,
        data: data.subarray(done, done + MAX_TRANSFER_BYTES),
      });
  }

  *flush(): Op<void> {
    yield* this.server.ask("FLUSH");
  }

  *resize(sizeBytes: number): Op<void> {
    yield* this.server.ask("RESIZE", { size: sizeBytes });
    this.size = sizeBytes;
  }

  *save(path: string): Op<void> {
    yield* this.server.ask("SAVE", { path: bytes(path) });
  }

  *load(path: string): Op<void> {
    try {
      yield* this.server.ask("LOAD", { path: bytes(path) });
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      throw new DiskError(`\`${path}\` ${error.message}`, error.errno, error.injected, { cause: error });
    }
  }

  *setFault(fault: DiskFault): Op<void> {
    for (const [number, other] of [...this.active])
      if (sameTarget(fault, other)) yield* this.clearFault(number);
    const number = ++this.lastFault;
    const { sectors } = fault;
    yield* this.server.ask("FAULT_SET", {
      fault: number,
      mode: FAULT_MODES.indexOf(fault.mode),
      first: (sectors?.[0] ?? 0) * SECTOR_BYTES,
      end: sectors === undefined ? -1 : (sectors[1] + 1) * SECTOR_BYTES,
      times: fault.times ?? -1,
      probability: fault.probability >= 1 ? ALWAYS : Math.max(1, Math.round(fault.probability * ALWAYS)),
      seed: BigInt.asIntN(64, fault.seed),
      delay_ns: Math.round(fault.delayMs * 1e6),
      keep: fault.keep,
      bits: fault.bits,
      on_flush: FLUSH_RULES.indexOf(fault.onFlush),
    });
    this.active.set(number, fault);
  }

  *clearFaults(mode?: FaultMode): Op<void> {
    for (const [number, fault] of [...this.active])
      if (mode === undefined || fault.mode === mode) yield* this.clearFault(number);
  }

  *faults(): Op<readonly ActiveFault[]> {
    const { faults, hits, left } = (yield* this.server.ask("FAULT_LIST")) as Record<string, number[]>;
    return (faults ?? []).flatMap((number, i) => {
      const fault = this.active.get(number);
      const still = Number(left?.[i]);
      if (fault === undefined) return [];
      return [{ fault, hits: Number(hits?.[i]), left: still < 0 ? undefined : still }];
    });
  }

  *startLog(): Op<void> {
    const base = join(this.directory, `log-${++this.logs}`);
    yield* this.stopLog();
    yield* this.server.ask("LOG_START", { base: bytes(`${base}.base`), log: bytes(base) });
  }

  *stopLog(): Op<void> {
    yield* this.server.ask("LOG_STOP");
    for (let i = 1; i <= this.logs; i++)
      for (const end of ["", ".base"]) rmSync(join(this.directory, `log-${i}${end}`), { force: true });
  }

  *logState(): Op<{ readonly writes: number; readonly flushes: number }> {
    const { writes, flushes } = yield* this.server.ask("LOG_STATE");
    return { writes: Number(writes), flushes: Number(flushes) };
  }

  *crashImage(path: string, flush: number, unflushed: Unflushed, seed: bigint): Op<void> {
    yield* this.server.ask("LOG_IMAGE", {
      path: bytes(path),
      flush,
      unflushed: UNFLUSHED.indexOf(unflushed),
      seed: BigInt.asIntN(64, seed),
    });
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.server.close();
    rmSync(this.directory, { recursive: true, force: true });
  }

  private *clearFault(number: number): Op<void> {
    yield* this.server.ask("FAULT_CLEAR", { fault: number });
    this.active.delete(number);
  }
}

/** Why an image cannot be used: what the daemon said about it, or our own check. */
const openError = (what: string, path: string, error: DiskError, said: string): Error => {
  const hint = remedy(error.errno, said);
  if (said === "") return new ApiError(`${what}: \`${path}\` ${error.message}`, { hint, cause: error });
  return new ApiError(`${what}: \`${path}\` cannot be used: ${daemonReason(said)}`, { hint });
};

const remedy = (errno: number, said: string): string | undefined => {
  if (errno === EAGAIN || /Failed to get .*lock/.test(said))
    return "An image is written by one VM at a time; several may share it when all of them attach it with readonly = true.";
  if (errno === EACCES || errno === EROFS || /Permission denied|Read-only file system/.test(said))
    return "A file that may only be read is attached with readonly = true.";
  return undefined;
};

/** Files with holes: where their data is, and a checksum that does not depend on the holes. lseek(2) SEEK_DATA. */

import { closeSync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from "node:fs";
import { ENXIO, errno, failed, libc } from "./libc.ts";
import { type Op, sleep } from "./op.ts";

/** Holes and sums are counted in pieces of this size. */
export const GRANULE_BYTES = 64 * 1024;
/** Read at once; a multiple of the granule. */
export const WINDOW_BYTES = 1024 * 1024;

const SEEK_DATA = 3;
const SEEK_HOLE = 4;
/** After this many windows whoever else waits gets a turn. */
const TURN_WINDOWS = 64;

const ZEROS = Buffer.alloc(GRANULE_BYTES);

export interface Extent {
  readonly start: number;
  readonly end: number;
}

const seek = (fd: number, offset: number, whence: number): number | undefined => {
  const at = Number(libc.lseek(fd, offset, whence));
  if (at >= 0) return at;
  const code = errno();
  return code === ENXIO ? undefined : failed("lseek", code);
};

/** Where an open file has data; the rest of it is holes. */
export const dataExtents = (fd: number): Extent[] => {
  const extents: Extent[] = [];
  for (let at = seek(fd, 0, SEEK_DATA); at !== undefined; ) {
    const end = seek(fd, at, SEEK_HOLE) as number;
    extents.push({ start: at, end });
    at = seek(fd, end, SEEK_DATA);
  }
  return extents;
};

/** The windows, in order, that hold any of the extents (which are in order too). */
export function* windowsOf(extents: readonly Extent[]): Generator<number> {
  let next = 0;
  for (const { start, end } of extents)
    for (let at = Math.max(next, start - (start % WINDOW_BYTES)); at < end; at += WINDOW_BYTES) {
      yield at;
      next = at + WINDOW_BYTES;
    }
}

/** Fills `into` from the file; what lies behind its end reads as zeros. */
export const readAt = (fd: number, into: Uint8Array, offset: number): void => {
  let done = 0;
  while (done < into.byteLength) {
    const n = readSync(fd, into, done, into.byteLength - done, offset + done);
    if (n === 0) break;
    done += n;
  }
  into.fill(0, done);
};

/** Writes all of `bytes`. */
export const writeAt = (fd: number, bytes: Uint8Array, offset: number): void => {
  for (let done = 0; done < bytes.byteLength; )
    done += writeSync(fd, bytes, done, bytes.byteLength - done, offset + done);
};

/** The checksum of a file from its granules in order: zeros count for nothing, wherever holes are. */
export class SparseSum {
  private state = 0n;
  /** Bytes in granules that are not zero. */
  data = 0;

  /** One window: calls `full` with each run of granules that are not zero. */
  add(offset: number, window: Uint8Array, full?: (from: number, to: number) => void): void {
    let from = -1;
    for (let at = 0; at < window.byteLength; at += GRANULE_BYTES) {
      const granule = window.subarray(at, Math.min(at + GRANULE_BYTES, window.byteLength));
      const zero = ZEROS.compare(granule, 0, granule.byteLength, 0, granule.byteLength) === 0;
      if (!zero) {
        // The place counts as much as the content.
        const place = BigInt(offset + at);
        this.state = Bun.hash.xxHash3(granule, BigInt.asUintN(64, this.state ^ place));
        this.data += granule.byteLength;
      }
      if (!zero && from < 0) from = at;
      if (zero && from >= 0) {
        full?.(from, at);
        from = -1;
      }
    }
    if (from >= 0) full?.(from, window.byteLength);
  }

  get text(): string {
    return this.state.toString(16).padStart(16, "0");
  }
}

/** Writes a file window by window, with holes where there are zeros, and sums it up on the way. */
export class SparseWriter {
  readonly sum = new SparseSum();
  private readonly fd: number;

  /** Makes the file, which must not exist, with `bytes` of holes. */
  constructor(
    path: string,
    readonly bytes: number,
  ) {
    this.fd = openSync(path, "wx", 0o600);
    try {
      ftruncateSync(this.fd, bytes);
    } catch (error) {
      closeSync(this.fd);
      throw error;
    }
  }

  put(offset: number, window: Uint8Array): void {
    const size = Math.min(window.byteLength, this.bytes - offset);
    this.sum.add(offset, window.subarray(0, size), (from, to) =>
      writeAt(this.fd, window.subarray(from, to), offset + from),
    );
  }

  close(): void {
    closeSync(this.fd);
  }
}

/** Lets others have a turn now and then. */
export class Turns {
  private count = 0;

  *next(): Op<void> {
    if (++this.count % TURN_WINDOWS === 0) yield* sleep(0);
  }
}

/** Sums up an open file as a `SparseWriter` of the same content would. */
export function* sparseSum(fd: number): Op<SparseSum> {
  const sum = new SparseSum();
  const turns = new Turns();
  const { size } = fstatSync(fd);
  const window = new Uint8Array(WINDOW_BYTES);
  for (const at of windowsOf(dataExtents(fd))) {
    const part = window.subarray(0, Math.min(WINDOW_BYTES, size - at));
    readAt(fd, part, at);
    sum.add(at, part);
    yield* turns.next();
  }
  return sum;
}

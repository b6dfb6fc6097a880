/**
 * Frames on their way to a non-blocking descriptor: small ones are put together into one write, large parts
 * go out from where they lie, several in one writev(2).
 */

import { EAGAIN, EINTR, errno, libc, ptr, writeSome } from "../sys/libc.ts";

const LENGTH_BYTES = 4;
/** Frames up to this are copied into the shared buffer, so that many of them cost one system call. */
const SMALL_BYTES = 16 * 1024;
const BUFFER_BYTES = 64 * 1024;
const IOVEC_BYTES = 16;
const MAX_IOVECS = 64;

export class Outgoing {
  /** Parts not yet taken by the kernel, in order; the first `taken` bytes of the first one are gone. */
  private parts: Uint8Array[] = [];
  private first = 0;
  private taken = 0;
  private waiting = 0;
  private buffer = new Uint8Array(BUFFER_BYTES);
  private used = 0;
  private readonly iovecs = new BigUint64Array((MAX_IOVECS * IOVEC_BYTES) / 8);

  /** Bytes not yet taken by the kernel. */
  get size(): number {
    return this.waiting;
  }

  /** Appends one frame made of the parts of its body. */
  push(parts: readonly Uint8Array[]): void {
    let length = 0;
    for (const part of parts) length += part.byteLength;
    const head = this.reserve(LENGTH_BYTES);
    head[0] = length >>> 24;
    head[1] = length >>> 16;
    head[2] = length >>> 8;
    head[3] = length;
    for (const part of parts) this.append(part);
  }

  /** Appends bytes that are no frame. */
  append(bytes: Uint8Array): void {
    if (bytes.byteLength === 0) return;
    if (bytes.byteLength <= SMALL_BYTES) this.reserve(bytes.byteLength).set(bytes);
    else {
      this.parts.push(bytes);
      this.waiting += bytes.byteLength;
    }
  }

  /** Writes as much as the kernel takes: 0, or `-errno` of a failure other than "not now". */
  flush(fd: number): number {
    while (this.waiting > 0) {
      const n = this.write(fd);
      if (n < 0) return n === -EAGAIN ? 0 : n;
      this.release(n);
    }
    return 0;
  }

  /** `size` bytes of the shared buffer, as the last part or a continuation of it. */
  private reserve(size: number): Uint8Array {
    if (this.used + size > this.buffer.byteLength) {
      this.buffer = new Uint8Array(BUFFER_BYTES);
      this.used = 0;
    }
    const from = this.used;
    this.used += size;
    this.waiting += size;
    const last = this.parts.at(-1);
    if (
      last !== undefined &&
      last.buffer === this.buffer.buffer &&
      last.byteOffset + last.byteLength === from
    )
      this.parts[this.parts.length - 1] = this.buffer.subarray(last.byteOffset, this.used);
    else this.parts.push(this.buffer.subarray(from, this.used));
    return this.buffer.subarray(from, this.used);
  }

  private write(fd: number): number {
    const head = this.parts[this.first] as Uint8Array;
    if (this.first === this.parts.length - 1)
      return writeSome(fd, this.taken === 0 ? head : head.subarray(this.taken));
    const count = Math.min(MAX_IOVECS, this.parts.length - this.first);
    for (let i = 0; i < count; i++) {
      const part = this.parts[this.first + i] as Uint8Array;
      const skip = i === 0 ? this.taken : 0;
      this.iovecs[2 * i] = BigInt(ptr(part) + skip);
      this.iovecs[2 * i + 1] = BigInt(part.byteLength - skip);
    }
    for (;;) {
      const n = Number(libc.writev(fd, this.iovecs, count));
      if (n >= 0) return n;
      const code = errno();
      if (code !== EINTR) return -code;
    }
  }

  /** Forgets the first `n` bytes. */
  private release(n: number): void {
    this.waiting -= n;
    if (this.waiting === 0) {
      this.parts = [];
      this.first = 0;
      this.taken = 0;
      this.used = 0;
      return;
    }
    this.taken += n;
    for (;;) {
      const head = this.parts[this.first] as Uint8Array;
      if (this.taken < head.byteLength) break;
      this.taken -= head.byteLength;
      this.first++;
    }
    if (this.first > MAX_IOVECS) {
      this.parts = this.parts.slice(this.first);
      this.first = 0;
    }
  }
}

/**
 * Bytes from a descriptor become frames. A frame is a 4-byte big-endian length and that many bytes.
 *
 * Small frames are cut out of one reused buffer; the body of a large one is read straight into its own memory,
 * so that no byte is copied more than once. A length that cannot be is refused before anything is allocated.
 */

import { ProtocolError } from "../errors/errors.ts";
import { EAGAIN, readSome } from "../sys/libc.ts";
import type { Resync } from "./channel.ts";

/** Largest body of a frame in bytes: 16 MiB of content, as ruled for the wire, and what stands around it. */
export const MAX_BODY_BYTES = 16 * 1024 * 1024 + 64 * 1024;

const LENGTH_BYTES = 4;
const BUFFER_BYTES = 256 * 1024;
/** Bodies above this get memory of their own at once, smaller ones wait in the buffer until they are whole. */
const LARGE_BODY_BYTES = 64 * 1024;
/** Recycled bodies kept. Without them a long read leaves garbage faster than the collector runs. */
const SPARES = 4;
/** Bytes taken in one go before other descriptors get their turn. */
const TURN_BYTES = 4 * 1024 * 1024;

export type Deliver = (body: Uint8Array) => void;

/** How a pull ended: all there was, end of file, or `-errno`. */
export type PullResult = "more" | "end" | number;

export class Incoming {
  private readonly buffer = new Uint8Array(BUFFER_BYTES);
  private start = 0;
  private end = 0;
  /** Bytes taken from the descriptor so far. */
  total = 0;
  /** The large body under way and how much of it has arrived. */
  private body: Uint8Array | undefined;
  private filled = 0;
  private hunt: Resync | undefined;
  /** Bodies that were given back, to be filled again. */
  private readonly spares: Uint8Array[] = [];

  constructor(private readonly deliver: Deliver) {}

  /** From now on nothing is delivered before the answer to `resync` has been found. */
  expect(resync: Resync): void {
    this.hunt = resync;
    this.body = undefined;
    this.filled = 0;
  }

  /** Takes back the memory of a delivered body that nobody looks at any more; `view` is any part of it. */
  recycle(view: Uint8Array): void {
    const { buffer } = view;
    if (buffer.byteLength > LARGE_BODY_BYTES && this.spares.length < SPARES)
      this.spares.push(new Uint8Array(buffer));
  }

  private roomFor(length: number): Uint8Array {
    const at = this.spares.findIndex((spare) => spare.byteLength >= length && spare.byteLength <= 2 * length);
    if (at < 0) return new Uint8Array(length);
    const [spare] = this.spares.splice(at, 1) as [Uint8Array];
    return spare.subarray(0, length);
  }

  /** Takes what the non-blocking descriptor has; stops early when `live` turns false. Throws ProtocolError. */
  pull(fd: number, live: () => boolean): PullResult {
    let taken = 0;
    while (live() && taken < TURN_BYTES) {
      const into = this.body === undefined ? this.buffer.subarray(this.end) : this.body.subarray(this.filled);
      const n = readSome(fd, into);
      if (n === 0) return "end";
      if (n < 0) return n === -EAGAIN ? "more" : n;
      taken += n;
      this.total += n;
      if (this.body !== undefined) {
        this.filled += n;
        if (this.filled === this.body.byteLength) this.completeBody(this.body);
      } else {
        this.end += n;
        this.cut(live);
        if (n < into.byteLength && this.body === undefined) return "more";
      }
    }
    return "more";
  }

  private completeBody(body: Uint8Array): void {
    this.body = undefined;
    this.filled = 0;
    this.deliver(body);
  }

  /** Delivers every whole frame of the buffer and makes room behind what is left. */
  private cut(live: () => boolean): void {
    const buffer = this.buffer;
    while (live()) {
      if (this.hunt !== undefined && !this.found(this.hunt)) break;
      const start = this.start;
      const there = this.end - start;
      if (there < LENGTH_BYTES) break;
      const length = lengthAt(buffer, start);
      if (length < 1 || length > MAX_BODY_BYTES) throw impossibleLength(length);
      const from = start + LENGTH_BYTES;
      if (there - LENGTH_BYTES >= length) {
        this.start = from + length;
        this.deliver(buffer.slice(from, this.start));
      } else if (length > LARGE_BODY_BYTES) {
        this.body = this.roomFor(length);
        this.body.set(buffer.subarray(from, this.end));
        this.filled = there - LENGTH_BYTES;
        this.start = this.end;
        break;
      } else break;
    }
    if (this.start > 0) {
      if (this.start < this.end) buffer.copyWithin(0, this.start, this.end);
      this.end -= this.start;
      this.start = 0;
    }
  }

  /** Skips to the answer of the resync: true when it is the next frame of the buffer. */
  private found(hunt: Resync): boolean {
    for (;;) {
      const at = indexOf(this.buffer, hunt.magic, this.start, this.end);
      if (at < 0) {
        // The tail may hold the beginning of the magic.
        this.start = Math.max(this.start, this.end - hunt.magic.byteLength + 1);
        return false;
      }
      const frame = at + hunt.magic.byteLength;
      this.start = at;
      if (this.end - frame < LENGTH_BYTES) return false;
      const length = lengthAt(this.buffer, frame);
      if (length >= 1 && length <= LARGE_BODY_BYTES) {
        const body = frame + LENGTH_BYTES;
        if (this.end - body < length) return false;
        if (hunt.accepts(this.buffer.slice(body, body + length))) {
          this.hunt = undefined;
          this.start = frame;
          return true;
        }
      }
      this.start = at + 1;
    }
  }
}

const lengthAt = (bytes: Uint8Array, at: number): number =>
  (((bytes[at] as number) << 24) |
    ((bytes[at + 1] as number) << 16) |
    ((bytes[at + 2] as number) << 8) |
    (bytes[at + 3] as number)) >>>
  0;

const impossibleLength = (length: number): ProtocolError =>
  new ProtocolError(
    `the agent announced a frame of ${length} bytes; a frame has 1 to ${MAX_BODY_BYTES} bytes`,
    { hint: "the agent in this guest is broken or is not a provium agent" },
  );

const indexOf = (bytes: Uint8Array, wanted: Uint8Array, from: number, to: number): number => {
  const first = wanted[0] as number;
  const last = to - wanted.byteLength;
  for (let at = bytes.indexOf(first, from); at >= 0 && at <= last; at = bytes.indexOf(first, at + 1)) {
    let same = 1;
    while (same < wanted.byteLength && bytes[at + same] === wanted[same]) same++;
    if (same === wanted.byteLength) return at;
  }
  return -1;
};

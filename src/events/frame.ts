/**
 * Frames: a 4-byte big-endian length, then that many bytes of msgpack. The same framing serves the agent's
 * wire, the talk between dispatcher and runner, and the event sinks.
 *
 * msgpackr is used without its record extension, so that any msgpack reader understands what we write.
 * Integers come back as `number` while they are safe and as `bigint` beyond; both go out as msgpack integers
 * (left alone, msgpackr would turn a number above 32 bits into a float).
 */

import { Packr, RESERVE_START_SPACE } from "msgpackr/pack";
import { ProtocolError } from "../errors/errors.ts";

/** Bytes of the length in front of each body. */
export const FRAME_HEADER_BYTES = 4;

/** Largest body of an event frame and of a frame between dispatcher and runner. */
export const MAX_EVENT_FRAME_BYTES = 64 * 1024 * 1024;

const codec = new Packr({
  useRecords: false,
  mapsAsObjects: true,
  // msgpackr knows "auto"; its type declarations do not.
  int64AsType: "auto" as "bigint",
  encodeUndefinedAsNil: true,
});

/** What msgpackr returns for 0xc1, the one type byte that msgpack never uses. */
const NO_VALUE: unknown = codec.unpack(Uint8Array.of(0xc1));

/** True for a number that msgpackr would write as a float although it is an integer. */
const isWideInteger = (value: number): boolean =>
  (value > 0xffff_ffff || value < -0x8000_0000) && Number.isSafeInteger(value);

/** The same value with wide integers as bigints and undefined fields left out; copies only what changes. */
const exact = (value: unknown): unknown => {
  if (typeof value === "number") return isWideInteger(value) ? BigInt(value) : value;
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return value;
  if (Array.isArray(value)) {
    let copy: unknown[] | undefined;
    for (let i = 0; i < value.length; i++) {
      const item = exact(value[i]);
      if (item !== value[i]) {
        copy ??= [...value];
        copy[i] = item;
      }
    }
    return copy ?? value;
  }
  if (value instanceof Map) return value;
  let changed = false;
  const copy: Record<string, unknown> = {};
  for (const [key, old] of Object.entries(value)) {
    const item = exact(old);
    if (item !== old || item === undefined) changed = true;
    if (item !== undefined) copy[key] = item;
  }
  return changed ? copy : value;
};

/** msgpack bytes of a value: null, boolean, number, bigint, string, bytes, arrays, plain objects, Maps. */
export const pack = (value: unknown): Uint8Array => codec.pack(exact(value));

/** The value of one msgpack body. Byte strings are views of `body`. Throws `ProtocolError` for anything malformed. */
export const unpack = (body: Uint8Array): unknown => {
  try {
    const value: unknown = codec.unpack(body);
    if (value !== NO_VALUE) return value;
  } catch (cause) {
    throw new ProtocolError(`malformed msgpack in a frame of ${body.byteLength} bytes`, { cause });
  }
  throw new ProtocolError(`malformed msgpack in a frame of ${body.byteLength} bytes: type byte 0xc1`);
};

/** Writes the length of a body as the header in front of it. */
export const writeFrameHeader = (into: Uint8Array, bodyBytes: number): void => {
  into[0] = bodyBytes >>> 24;
  into[1] = bodyBytes >>> 16;
  into[2] = bodyBytes >>> 8;
  into[3] = bodyBytes;
};

/** Header and body of one value in one piece. Throws `ProtocolError` when the body exceeds `limit` bytes. */
export const encodeFrame = (value: unknown, limit: number = MAX_EVENT_FRAME_BYTES): Uint8Array => {
  const frame = codec.pack(exact(value), RESERVE_START_SPACE + FRAME_HEADER_BYTES);
  const bodyBytes = frame.byteLength - FRAME_HEADER_BYTES;
  if (bodyBytes > limit)
    throw new ProtocolError(`a frame of ${bodyBytes} bytes is more than the ${limit} allowed`);
  writeFrameHeader(frame, bodyBytes);
  return frame;
};

/**
 * Cuts a byte stream into frame bodies. What it holds back is at most one body, whose size it has checked
 * against the limit before it takes memory for it.
 */
export class FrameReader {
  private readonly header = new Uint8Array(FRAME_HEADER_BYTES);
  private headerBytes = 0;
  private body: Uint8Array | undefined;
  private bodyBytes = 0;

  constructor(private readonly limit: number = MAX_EVENT_FRAME_BYTES) {}

  /** True between frames: a stream that ends here has lost nothing. */
  get atBoundary(): boolean {
    return this.headerBytes === 0 && this.body === undefined;
  }

  /**
   * Takes the next bytes and hands over each body that they complete. The bodies are copies, the receiver's to
   * keep; `chunk` may be reused. Throws `ProtocolError` for a length beyond the limit; the stream is lost then.
   */
  push(chunk: Uint8Array, deliver: (body: Uint8Array) => void): void {
    let at = 0;
    while (at < chunk.byteLength) {
      // The usual case: the whole frame is here. (Not `chunk.slice`: a Buffer's would be no copy.)
      if (this.atBoundary && chunk.byteLength - at >= FRAME_HEADER_BYTES) {
        const end = at + FRAME_HEADER_BYTES + this.announced(chunk, at);
        if (end <= chunk.byteLength) {
          const body = Uint8Array.prototype.slice.call(chunk, at + FRAME_HEADER_BYTES, end);
          at = end;
          deliver(body);
          continue;
        }
      }
      if (this.body === undefined) {
        while (this.headerBytes < FRAME_HEADER_BYTES && at < chunk.byteLength)
          this.header[this.headerBytes++] = chunk[at++] as number;
        if (this.headerBytes < FRAME_HEADER_BYTES) return;
        this.body = new Uint8Array(this.announced(this.header, 0));
        this.bodyBytes = 0;
      }
      const body = this.body;
      const take = Math.min(body.byteLength - this.bodyBytes, chunk.byteLength - at);
      body.set(chunk.subarray(at, at + take), this.bodyBytes);
      this.bodyBytes += take;
      at += take;
      if (this.bodyBytes === body.byteLength) {
        this.body = undefined;
        this.headerBytes = 0;
        deliver(body);
      }
    }
  }

  /** Forgets a half-received frame. */
  reset(): void {
    this.headerBytes = 0;
    this.body = undefined;
  }

  /** The length in the header at `at`. */
  private announced(bytesOf: Uint8Array, at: number): number {
    const byte = (i: number): number => bytesOf[at + i] as number;
    const bytes = byte(0) * 0x1000000 + ((byte(1) << 16) | (byte(2) << 8) | byte(3));
    if (bytes > this.limit)
      throw new ProtocolError(
        `the other side announced a frame of ${bytes} bytes; at most ${this.limit} are allowed`,
      );
    return bytes;
  }
}

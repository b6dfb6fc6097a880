/**
 * The part of msgpack that the wire uses: nil, booleans, 64-bit integers, byte strings, arrays.
 *
 * A general decoder builds whatever the sender says (maps, extensions, an array of four billion entries). The
 * sender here is a guest, which is never trusted, so this reader is asked for one thing at a time and refuses
 * everything else. Format: the msgpack specification.
 */

import { ProtocolError } from "../errors/errors.ts";

export type Integer = number | bigint;

const UINT32 = 0x1_0000_0000;
const MIN_INT64 = -(2n ** 63n);
const MAX_UINT64 = 2n ** 64n - 1n;

/** Byte strings from this size on are not copied into the frame but travel as a part of their own. */
export const LARGE_BYTES = 16 * 1024;

/** Builds one body. Used again and again; `finish` hands out memory that is the receiver's. */
export class Writer {
  private buffer = new Uint8Array(4096);
  private view = new DataView(this.buffer.buffer);
  private length = 0;
  private parts: Uint8Array[] = [];

  nil(): void {
    this.byte(0xc0);
  }

  bool(value: boolean): void {
    this.byte(value ? 0xc3 : 0xc2);
  }

  /** A signed 64-bit integer; from 2^63 on its two's complement. Throws RangeError beyond 64 bits. */
  int(value: Integer): void {
    if (typeof value === "number") {
      if (!Number.isSafeInteger(value)) throw new RangeError(`${value} is no integer of 53 bits`);
      if (value >= -32 && value < 128) this.byte(value & 0xff);
      else if (value >= 0 && value < UINT32) this.wide(0xce, value);
      else this.big(BigInt(value));
    } else {
      if (value < MIN_INT64 || value > MAX_UINT64) throw new RangeError(`${value} has more than 64 bits`);
      this.big(value);
    }
  }

  bytes(value: Uint8Array): void {
    const length = value.byteLength;
    if (length < 256) {
      this.room(2 + length);
      this.buffer[this.length++] = 0xc4;
      this.buffer[this.length++] = length;
    } else this.wide(0xc6, length);
    if (length >= LARGE_BYTES) {
      this.cut();
      this.parts.push(value);
      return;
    }
    this.room(length);
    this.buffer.set(value, this.length);
    this.length += length;
  }

  array(count: number): void {
    if (count < 16) this.byte(0x90 | count);
    else this.wide(0xdd, count);
  }

  /** The body in parts; large byte strings are parts as they were given. */
  finish(): Uint8Array[] {
    this.cut();
    const parts = this.parts;
    this.parts = [];
    return parts;
  }

  private cut(): void {
    if (this.length > 0) this.parts.push(this.buffer.slice(0, this.length));
    this.length = 0;
  }

  private byte(value: number): void {
    this.room(1);
    this.buffer[this.length++] = value;
  }

  private wide(tag: number, value: number): void {
    this.room(5);
    this.buffer[this.length] = tag;
    this.view.setUint32(this.length + 1, value);
    this.length += 5;
  }

  private big(value: bigint): void {
    this.room(9);
    this.buffer[this.length] = 0xd3;
    this.view.setBigInt64(this.length + 1, BigInt.asIntN(64, value));
    this.length += 9;
  }

  private room(size: number): void {
    if (this.length + size <= this.buffer.byteLength) return;
    const grown = new Uint8Array(Math.max(this.buffer.byteLength * 2, this.length + size));
    grown.set(this.buffer.subarray(0, this.length));
    this.buffer = grown;
    this.view = new DataView(grown.buffer);
  }
}

/** Takes one body apart. Every method throws ProtocolError when something else is there. */
export class Reader {
  private at = 0;
  private readonly view: DataView;

  constructor(private readonly body: Uint8Array) {
    this.view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  }

  /** Whether the next value is nil; if so it is taken. */
  nil(): boolean {
    if (this.body[this.at] !== 0xc0) return false;
    this.at++;
    return true;
  }

  bool(): boolean {
    const tag = this.tag("a boolean");
    if (tag === 0xc3) return true;
    if (tag === 0xc2) return false;
    throw this.unexpected("a boolean", tag);
  }

  /** A number where it is exact, else a bigint. */
  int(): Integer {
    const tag = this.tag("an integer");
    if (tag < 0x80) return tag;
    if (tag >= 0xe0) return tag - 0x100;
    const view = this.view;
    switch (tag) {
      case 0xcc:
        return view.getUint8(this.take(1));
      case 0xcd:
        return view.getUint16(this.take(2));
      case 0xce:
        return view.getUint32(this.take(4));
      case 0xd0:
        return view.getInt8(this.take(1));
      case 0xd1:
        return view.getInt16(this.take(2));
      case 0xd2:
        return view.getInt32(this.take(4));
      case 0xd3:
        return exact(view.getBigInt64(this.take(8)));
      case 0xcf: {
        const value = view.getBigUint64(this.take(8));
        if (value >= 2n ** 63n) throw new ProtocolError(`an integer of more than 63 bits: ${value}`);
        return exact(value);
      }
      default:
        throw this.unexpected("an integer", tag);
    }
  }

  /** A view of the body, not a copy. */
  bytes(): Uint8Array {
    const tag = this.tag("a byte string");
    let length: number;
    if (tag >= 0xa0 && tag < 0xc0) length = tag & 0x1f;
    else if (tag === 0xc4 || tag === 0xd9) length = this.view.getUint8(this.take(1));
    else if (tag === 0xc5 || tag === 0xda) length = this.view.getUint16(this.take(2));
    else if (tag === 0xc6 || tag === 0xdb) length = this.view.getUint32(this.take(4));
    else throw this.unexpected("a byte string", tag);
    const from = this.take(length);
    return this.body.subarray(from, from + length);
  }

  /** The length of an array; never more than the body could hold. */
  array(): number {
    const tag = this.tag("an array");
    let count: number;
    if (tag >= 0x90 && tag < 0xa0) count = tag & 0x0f;
    else if (tag === 0xdc) count = this.view.getUint16(this.take(2));
    else if (tag === 0xdd) count = this.view.getUint32(this.take(4));
    else throw this.unexpected("an array", tag);
    if (count > this.body.byteLength - this.at)
      throw new ProtocolError(`an array of ${count} values in ${this.body.byteLength - this.at} bytes`);
    return count;
  }

  private tag(wanted: string): number {
    const tag = this.body[this.at];
    if (tag === undefined) throw new ProtocolError(`the frame ends where ${wanted} should be`);
    this.at++;
    return tag;
  }

  private take(size: number): number {
    const from = this.at;
    if (size > this.body.byteLength - from)
      throw new ProtocolError(`the frame ends ${size - (this.body.byteLength - from)} bytes too early`);
    this.at = from + size;
    return from;
  }

  private unexpected(wanted: string, tag: number): ProtocolError {
    return new ProtocolError(`${wanted} was expected and ${name(tag)} came (byte ${this.at - 1})`);
  }
}

const exact = (value: bigint): Integer => {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
};

/** What a first byte announces, in words. */
const name = (tag: number): string => {
  if (tag < 0x80 || tag >= 0xe0 || (tag >= 0xcc && tag <= 0xd3)) return "an integer";
  if (tag < 0x90 || tag === 0xde || tag === 0xdf) return "a map";
  if (tag < 0xa0 || tag === 0xdc || tag === 0xdd) return "an array";
  if (tag < 0xc0 || (tag >= 0xd9 && tag <= 0xdb) || (tag >= 0xc4 && tag <= 0xc6)) return "a byte string";
  if (tag === 0xc0) return "nil";
  if (tag === 0xc2 || tag === 0xc3) return "a boolean";
  if (tag === 0xca || tag === 0xcb) return "a float";
  if (tag === 0xc1) return "the reserved byte 0xc1";
  return "an extension";
};

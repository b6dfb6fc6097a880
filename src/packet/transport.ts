/** ICMP (RFC 792, 4443), UDP (RFC 768) and TCP (RFC 9293). `checksum_ok` is there where the whole of it is. */

import { internetChecksum } from "./checksum.ts";
import { type Cursor, Truncated } from "./cursor.ts";

export interface Icmp {
  readonly type: number;
  readonly code: number;
  /** Of an echo request or reply. */
  readonly id?: number;
  readonly seq?: number;
  readonly checksum_ok?: boolean;
}

export interface Udp {
  readonly src_port: number;
  readonly dst_port: number;
  /** Header and data. */
  readonly length: number;
  /** True also where the sender left it out. */
  readonly checksum_ok?: boolean;
}

export interface Tcp {
  readonly src_port: number;
  readonly dst_port: number;
  readonly seq: number;
  readonly ack: number;
  readonly window: number;
  readonly fin: boolean;
  readonly syn: boolean;
  readonly rst: boolean;
  readonly psh: boolean;
  readonly ack_set: boolean;
  readonly urg: boolean;
  /** The largest segment that the sender takes, of a SYN. */
  readonly mss?: number;
  readonly checksum_ok?: boolean;
}

/** Echo request and reply of ICMP and ICMPv6. */
const ECHOES: readonly number[] = [8, 0, 128, 129];

const checked = (whole: boolean, ...parts: readonly Uint8Array[]): { checksum_ok?: boolean } =>
  whole ? { checksum_ok: internetChecksum(...parts) === 0 } : {};

/** Leaves the cursor at what the message carries. */
export const readIcmp = (cursor: Cursor, whole: boolean, pseudo: Uint8Array): Icmp => {
  const [type, code] = [cursor.u8(), cursor.u8()];
  cursor.u16();
  const [id, seq] = [cursor.u16(), cursor.u16()];
  const echo = ECHOES.includes(type) && code === 0 ? { id, seq } : {};
  return { type, code, ...echo, ...checked(whole, pseudo, cursor.bytes) };
};

export const readUdp = (
  cursor: Cursor,
  whole: boolean,
  pseudo: Uint8Array,
): { readonly udp: Udp; readonly data: Uint8Array } => {
  const [src_port, dst_port, length, checksum] = [cursor.u16(), cursor.u16(), cursor.u16(), cursor.u16()];
  if (length < 8 || (whole && length > cursor.bytes.byteLength)) throw new Truncated();
  const packet = cursor.bytes.subarray(0, length);
  const sum = checksum === 0 ? { checksum_ok: true } : checked(whole, pseudo, packet);
  return { udp: { src_port, dst_port, length, ...sum }, data: packet.subarray(8) };
};

const MSS_OPTION = 2;

/** The value of the option "maximum segment size". */
const mssOf = (options: Uint8Array): number | undefined => {
  for (let at = 0; at < options.byteLength; ) {
    const kind = options[at] as number;
    const size = kind <= 1 ? 1 : (options[at + 1] ?? 0);
    if (kind === 0 || size === 0) return undefined;
    if (kind === MSS_OPTION && size === 4 && at + 4 <= options.byteLength)
      return ((options[at + 2] as number) << 8) | (options[at + 3] as number);
    at += size;
  }
  return undefined;
};

/** Leaves the cursor at the data. */
export const readTcp = (cursor: Cursor, whole: boolean, pseudo: Uint8Array): Tcp => {
  const [src_port, dst_port, seq, ack] = [cursor.u16(), cursor.u16(), cursor.u32(), cursor.u32()];
  const bits = cursor.u16();
  const window = cursor.u16();
  cursor.u32();
  const options = (bits >> 12) * 4 - 20;
  if (options < 0) throw new Truncated();
  const mss = mssOf(cursor.take(options));
  const flag = (bit: number): boolean => (bits & (1 << bit)) !== 0;
  return {
    src_port,
    dst_port,
    seq,
    ack,
    window,
    fin: flag(0),
    syn: flag(1),
    rst: flag(2),
    psh: flag(3),
    ack_set: flag(4),
    urg: flag(5),
    ...(mss === undefined ? {} : { mss }),
    ...checked(whole, pseudo, cursor.bytes),
  };
};

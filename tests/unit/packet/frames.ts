/** Frames with right lengths and checksums, made from their parts. */

import { ipv6Bytes } from "../../../src/packet/addresses.ts";
import { internetChecksum } from "../../../src/packet/checksum.ts";

export const joined = (...parts: (Uint8Array | readonly number[])[]): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(parts.flatMap((part) => [...part]));
export const u16 = (value: number): number[] => [(value >> 8) & 255, value & 255];
export const u32 = (value: number): number[] => [...u16(value >>> 16), ...u16(value & 0xffff)];
export const ip = (text: string): number[] => text.split(".").map(Number);
export const macOf = (text: string): number[] => text.split(":").map((part) => Number.parseInt(part, 16));

/** Writes the checksum of all of it (behind `pseudo`) at `at`. */
const summed = (packet: Uint8Array, at: number, pseudo: Uint8Array = new Uint8Array(0)): Uint8Array => {
  const sum = internetChecksum(pseudo, packet);
  packet.set(u16(sum), at);
  return packet;
};

export const eth = (dst: string, src: string, type: number, payload: Uint8Array): Uint8Array =>
  joined(macOf(dst), macOf(src), u16(type), payload);

export const arp = (op: number, senderMac: string, sender: string, targetMac: string, target: string) =>
  joined([0, 1, 8, 0, 6, 4], u16(op), macOf(senderMac), ip(sender), macOf(targetMac), ip(target));

export interface Ipv4Options {
  readonly ttl?: number;
  readonly flags?: number;
}

export const ipv4 = (
  src: string,
  dst: string,
  protocol: number,
  body: Uint8Array,
  { ttl = 64, flags = 0 }: Ipv4Options = {},
): Uint8Array =>
  joined(
    summed(
      joined(
        [0x45, 0],
        u16(20 + body.byteLength),
        u16(7),
        u16(flags),
        [ttl, protocol, 0, 0],
        ip(src),
        ip(dst),
      ),
      10,
    ),
    body,
  );

/** Of an address with at most one "::". */
export const ip6 = (text: string): number[] => [...ipv6Bytes(text)];

export const ipv6 = (src: string, dst: string, next: number, body: Uint8Array, hops = 64): Uint8Array =>
  joined([0x60, 0, 0, 0], u16(body.byteLength), [next, hops], ip6(src), ip6(dst), body);

/** `rest`: everything behind the checksum. */
export const icmp6 = (
  src: string,
  dst: string,
  type: number,
  code: number,
  rest: Uint8Array | readonly number[],
): Uint8Array =>
  summed(
    joined([type, code, 0, 0], rest),
    2,
    joined(ip6(src), ip6(dst), u32(4 + rest.length), [0, 0, 0, 58]),
  );

export const pseudo = (src: string, dst: string, protocol: number, size: number): Uint8Array =>
  joined(ip(src), ip(dst), [0, protocol], u16(size));

export const icmp = (type: number, id: number, seq: number, data: Uint8Array): Uint8Array =>
  summed(joined([type, 0, 0, 0], u16(id), u16(seq), data), 2);

export const udp = (src: string, sport: number, dst: string, dport: number, data: Uint8Array): Uint8Array =>
  summed(
    joined(u16(sport), u16(dport), u16(8 + data.byteLength), [0, 0], data),
    6,
    pseudo(src, dst, 17, 8 + data.byteLength),
  );

/** IPv4 (RFC 791) and IPv6 with its extension headers (RFC 8200). */

import { ipv4Text, ipv6Text } from "./addresses.ts";
import { internetChecksum } from "./checksum.ts";
import { Cursor, Truncated } from "./cursor.ts";

export interface Ip {
  readonly version: 4 | 6;
  readonly src: string;
  readonly dst: string;
  /** Of what is inside: 1 ICMP, 6 TCP, 17 UDP, 58 ICMPv6. */
  readonly protocol: number;
  /** Time to live; the hop limit of IPv6. */
  readonly ttl: number;
  /** Header and content, from the header. */
  readonly length: number;
  /** DSCP and ECN: the byte that was the type of service. */
  readonly tos: number;
  /** IPv4, and IPv6 where the packet is a fragment. */
  readonly id?: number;
  readonly dont_fragment: boolean;
  readonly more_fragments: boolean;
  /** In bytes. */
  readonly fragment_offset: number;
  /** IPv4: whether the header's checksum is right. */
  readonly checksum_ok?: boolean;
}

export interface IpPacket {
  readonly ip: Ip;
  /** What the checksums of the layer above begin with. */
  readonly pseudo: Uint8Array;
  readonly body: Uint8Array;
}

const pseudoHeader = (addresses: Uint8Array, protocol: number, size: number): Uint8Array => {
  const header = new Uint8Array(addresses.byteLength + 8);
  header.set(addresses);
  const view = new DataView(header.buffer);
  // The form of IPv6; that of IPv4 has the same fields in less room, which comes to the same sum.
  view.setUint32(addresses.byteLength, size);
  header[header.byteLength - 1] = protocol;
  return header;
};

export const readIpv4 = (packet: Uint8Array): IpPacket => {
  const cursor = new Cursor(packet);
  const first = cursor.u8();
  const header = (first & 15) * 4;
  const tos = cursor.u8();
  const length = cursor.u16();
  if (first >> 4 !== 4 || header < 20 || length < header || length > packet.byteLength) throw new Truncated();
  const id = cursor.u16();
  const fragment = cursor.u16();
  const ttl = cursor.u8();
  const protocol = cursor.u8();
  cursor.u16();
  const addresses = cursor.take(8);
  const body = packet.subarray(header, length);
  return {
    ip: {
      version: 4,
      src: ipv4Text(addresses.subarray(0, 4)),
      dst: ipv4Text(addresses.subarray(4)),
      protocol,
      ttl,
      length,
      tos,
      id,
      dont_fragment: (fragment & 0x4000) !== 0,
      more_fragments: (fragment & 0x2000) !== 0,
      fragment_offset: (fragment & 0x1fff) * 8,
      checksum_ok: internetChecksum(packet.subarray(0, header)) === 0,
    },
    pseudo: pseudoHeader(addresses, protocol, body.byteLength),
    body,
  };
};

const HOP_BY_HOP = 0;
const ROUTING = 43;
const FRAGMENT = 44;
const DESTINATION = 60;

export const readIpv6 = (packet: Uint8Array): IpPacket => {
  const head = new Cursor(packet);
  const first = head.u32();
  const size = head.u16();
  let protocol = head.u8();
  const ttl = head.u8();
  const addresses = head.take(32);
  if (first >>> 28 !== 6) throw new Truncated();
  const cursor = new Cursor(head.take(size));
  let fragment: { id: number; offset: number; more: boolean } | undefined;
  while ([HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION].includes(protocol)) {
    const next = cursor.u8();
    const length = cursor.u8();
    if (protocol === FRAGMENT) {
      const place = cursor.u16();
      fragment = { id: cursor.u32(), offset: place & 0xfff8, more: (place & 1) !== 0 };
    } else cursor.take(length * 8 + 6);
    protocol = next;
    // What follows a later fragment's header is the middle of something.
    if (fragment !== undefined && fragment.offset > 0) break;
  }
  const body = cursor.rest();
  return {
    ip: {
      version: 6,
      src: ipv6Text(addresses.subarray(0, 16)),
      dst: ipv6Text(addresses.subarray(16)),
      protocol,
      ttl,
      length: 40 + size,
      tos: (first >>> 20) & 255,
      ...(fragment === undefined ? {} : { id: fragment.id }),
      dont_fragment: fragment === undefined,
      more_fragments: fragment?.more ?? false,
      fragment_offset: fragment?.offset ?? 0,
    },
    pseudo: pseudoHeader(addresses, protocol, body.byteLength),
    body,
  };
};

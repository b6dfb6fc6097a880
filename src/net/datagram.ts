/** As much of ARP, IPv4 and UDP as a service on a bridge needs: RFC 826, 791, 768. Pure. */

export interface Datagram {
  readonly sourceMac: Uint8Array;
  readonly source: Uint8Array;
  readonly target: Uint8Array;
  readonly sourcePort: number;
  readonly targetPort: number;
  readonly payload: Uint8Array;
}

export interface End {
  readonly mac: Uint8Array;
  readonly address: Uint8Array;
  readonly port: number;
}

const ETHERNET_BYTES = 14;
const IP_BYTES = 20;
const UDP_BYTES = 8;
const ARP_BYTES = 28;
const IPV4 = 0x0800;
const ARP = 0x0806;
const UDP = 17;
const TTL = 64;

export const addressBytes = (text: string): Uint8Array => Uint8Array.from(text.split("."), Number);

/** "52:54:00:12:34:56". */
export const hardwareText = (mac: Uint8Array): string =>
  [...mac].map((byte) => byte.toString(16).padStart(2, "0")).join(":");

const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** The whole, unfragmented UDP datagram in a frame without tags; undefined for everything else. */
export const parseDatagram = (frame: Uint8Array): Datagram | undefined => {
  if (frame.length < ETHERNET_BYTES + IP_BYTES + UDP_BYTES) return undefined;
  const view = viewOf(frame);
  const header = ((frame[ETHERNET_BYTES] as number) & 15) * 4;
  const udp = ETHERNET_BYTES + header;
  const fragment = view.getUint16(ETHERNET_BYTES + 6) & 0x3fff;
  const version = (frame[ETHERNET_BYTES] as number) >> 4;
  if (view.getUint16(12) !== IPV4 || version !== 4 || header < IP_BYTES || fragment !== 0) return undefined;
  if (frame[ETHERNET_BYTES + 9] !== UDP || frame.length < udp + UDP_BYTES) return undefined;
  const length = view.getUint16(udp + 4);
  if (length < UDP_BYTES || frame.length < udp + length) return undefined;
  return {
    sourceMac: frame.slice(6, 12),
    source: frame.slice(ETHERNET_BYTES + 12, ETHERNET_BYTES + 16),
    target: frame.slice(ETHERNET_BYTES + 16, ETHERNET_BYTES + 20),
    sourcePort: view.getUint16(udp),
    targetPort: view.getUint16(udp + 2),
    payload: frame.slice(udp + UDP_BYTES, udp + length),
  };
};

/** The Internet checksum of RFC 1071. */
const checksum = (bytes: Uint8Array): number => {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += ((bytes[at] as number) << 8) | (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
};

export const udpFrame = (from: End, to: End, payload: Uint8Array): Uint8Array => {
  const frame = new Uint8Array(ETHERNET_BYTES + IP_BYTES + UDP_BYTES + payload.length);
  const view = viewOf(frame);
  frame.set(to.mac, 0);
  frame.set(from.mac, 6);
  view.setUint16(12, IPV4);
  const ip = frame.subarray(ETHERNET_BYTES, ETHERNET_BYTES + IP_BYTES);
  ip.set([0x45, 0, 0, 0, 0, 0, 0x40, 0, TTL, UDP]);
  view.setUint16(ETHERNET_BYTES + 2, IP_BYTES + UDP_BYTES + payload.length);
  ip.set(from.address, 12);
  ip.set(to.address, 16);
  view.setUint16(ETHERNET_BYTES + 10, checksum(ip));
  const udp = ETHERNET_BYTES + IP_BYTES;
  view.setUint16(udp, from.port);
  view.setUint16(udp + 2, to.port);
  // The checksum of UDP over IPv4 may be left out.
  view.setUint16(udp + 4, UDP_BYTES + payload.length);
  frame.set(payload, udp + UDP_BYTES);
  return frame;
};

/** The answer to "who has `address`?"; undefined for every other frame. */
export const arpReply = (frame: Uint8Array, mac: Uint8Array, address: Uint8Array): Uint8Array | undefined => {
  if (frame.length < ETHERNET_BYTES + ARP_BYTES) return undefined;
  const view = viewOf(frame);
  const request = view.getUint16(12) === ARP && view.getUint16(ETHERNET_BYTES + 6) === 1;
  const target = frame.subarray(ETHERNET_BYTES + 24, ETHERNET_BYTES + 28);
  if (!request || target.join() !== address.join()) return undefined;
  const reply = frame.slice(0, ETHERNET_BYTES + ARP_BYTES);
  const asker = frame.slice(ETHERNET_BYTES + 8, ETHERNET_BYTES + 18);
  reply.set(frame.subarray(6, 12), 0);
  reply.set(mac, 6);
  reply[ETHERNET_BYTES + 7] = 2;
  reply.set(mac, ETHERNET_BYTES + 8);
  reply.set(address, ETHERNET_BYTES + 14);
  reply.set(asker, ETHERNET_BYTES + 18);
  return reply;
};

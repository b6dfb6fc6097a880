/**
 * What is in an Ethernet frame, layer by layer, for a test to look at. A layer that does not fit its own lengths is
 * left out, and `malformed` says which; the layers around it are there.
 */

import { ipv4Text, macText } from "./addresses.ts";
import { Cursor, Truncated } from "./cursor.ts";
import { type Dns, readDns } from "./dns.ts";
import { type Ip, readIpv4, readIpv6 } from "./ip.ts";
import { type Icmp, readIcmp, readTcp, readUdp, type Tcp, type Udp } from "./transport.ts";

export interface Ethernet {
  readonly dst: string;
  readonly src: string;
  /** Of what is inside, behind all tags: 0x0800 for IPv4. Below 1536 it is a length (IEEE 802.3). */
  readonly type: number;
  /** VLAN tags from the outside in. */
  readonly vlans: readonly { readonly id: number; readonly priority: number; readonly type: number }[];
}

export interface Arp {
  /** 1 request, 2 reply. */
  readonly op: number;
  readonly sender_mac: string;
  readonly sender_ip: string;
  readonly target_mac: string;
  readonly target_ip: string;
}

export interface Dissection {
  eth?: Ethernet;
  arp?: Arp;
  ip?: Ip;
  icmp?: Icmp;
  udp?: Udp;
  tcp?: Tcp;
  dns?: Dns;
  /** What the innermost layer found carries. */
  payload: Uint8Array;
  /** The layer that does not fit. */
  malformed?: string;
}

const TYPE_IPV4 = 0x0800;
const TYPE_ARP = 0x0806;
const TYPE_IPV6 = 0x86dd;
const VLAN_TAGS: readonly number[] = [0x8100, 0x88a8, 0x9100];
const PROTOCOL = { icmp: 1, tcp: 6, udp: 17, icmpv6: 58 } as const;
/** DNS and multicast DNS (RFC 6762). */
const DNS_PORTS: readonly number[] = [53, 5353];

const readEthernet = (cursor: Cursor): Ethernet => {
  const dst = macText(cursor.take(6));
  const src = macText(cursor.take(6));
  const vlans: { id: number; priority: number; type: number }[] = [];
  let type = cursor.u16();
  while (VLAN_TAGS.includes(type)) {
    const tag = cursor.u16();
    vlans.push({ id: tag & 0xfff, priority: tag >> 13, type });
    type = cursor.u16();
  }
  return { dst, src, type, vlans };
};

const readArp = (cursor: Cursor): Arp | undefined => {
  const [hardware, protocol, sizes] = [cursor.u16(), cursor.u16(), cursor.u16()];
  if (hardware !== 1 || protocol !== TYPE_IPV4 || sizes !== 0x0604) return undefined;
  return {
    op: cursor.u16(),
    sender_mac: macText(cursor.take(6)),
    sender_ip: ipv4Text(cursor.take(4)),
    target_mac: macText(cursor.take(6)),
    target_ip: ipv4Text(cursor.take(4)),
  };
};

/** Reads one layer; false, and `malformed` set, when it does not fit. */
const layer = (found: Dissection, name: string, read: () => void): boolean => {
  try {
    read();
    return true;
  } catch (error) {
    if (!(error instanceof Truncated)) throw error;
    found.malformed = name;
    return false;
  }
};

const readTransport = (found: Dissection, ip: Ip, pseudo: Uint8Array, body: Uint8Array): void => {
  const cursor = new Cursor(body);
  // Only the first fragment begins with the header of what is inside.
  if (ip.fragment_offset > 0) return;
  const whole = !ip.more_fragments;
  switch (ip.protocol) {
    case PROTOCOL.icmp:
    case PROTOCOL.icmpv6:
      layer(found, "icmp", () => {
        found.icmp = readIcmp(cursor, whole, ip.version === 6 ? pseudo : new Uint8Array(0));
        found.payload = cursor.rest();
      });
      return;
    case PROTOCOL.udp:
      layer(found, "udp", () => {
        const { udp, data } = readUdp(cursor, whole, pseudo);
        found.udp = udp;
        found.payload = data;
        if (whole && (DNS_PORTS.includes(udp.src_port) || DNS_PORTS.includes(udp.dst_port)))
          addDns(found, data);
      });
      return;
    case PROTOCOL.tcp:
      layer(found, "tcp", () => {
        found.tcp = readTcp(cursor, whole, pseudo);
        found.payload = cursor.rest();
      });
      return;
  }
};

const addDns = (found: Dissection, data: Uint8Array): void => {
  const dns = readDns(data);
  if (dns === undefined) found.malformed = "dns";
  else found.dns = dns;
};

/** Takes a frame apart. Any bytes are accepted. */
export const dissect = (frame: Uint8Array): Dissection => {
  const found: Dissection = { payload: frame };
  const cursor = new Cursor(frame);
  const framed = layer(found, "eth", () => {
    found.eth = readEthernet(cursor);
  });
  if (!framed) return found;
  found.payload = frame.subarray(cursor.at);
  const type = found.eth?.type;
  if (type === TYPE_ARP)
    layer(found, "arp", () => {
      const arp = readArp(cursor);
      if (arp === undefined) return;
      found.arp = arp;
      found.payload = cursor.rest();
    });
  if (type === TYPE_IPV4 || type === TYPE_IPV6)
    layer(found, "ip", () => {
      const { ip, pseudo, body } = type === TYPE_IPV4 ? readIpv4(cursor.rest()) : readIpv6(cursor.rest());
      found.ip = ip;
      found.payload = body;
      readTransport(found, ip, pseudo, body);
    });
  return found;
};

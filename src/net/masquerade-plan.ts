/** What a router between a bridge and the host's kernel consists of, and whether the host lets one work. Pure. */

import { addressOf, addressText, RESOLVER_HOST, type Subnet, UPLINK_HOST } from "../lab/subnet.ts";

/** The router's devices: towards the bridge and towards the host. */
export const INNER = "lan";
export const OUTER = "wan";

/** 198.18.0.0/15 is for tests of network devices (RFC 2544): four addresses of it for each uplink. */
const TRANSIT_BASE = 0xc612_0000;
const TRANSIT_NETWORKS = 32_768;
const TRANSIT_PREFIX = 30;

/** The network between a router and the host. */
export interface Transit {
  readonly network: string;
  /** Of the host's end. */
  readonly outside: string;
  /** Of the router's end. */
  readonly inside: string;
}

/** The transit network that belongs to the host's device number `index`, which no other device has. */
export const transitOf = (index: number): Transit => {
  const base = TRANSIT_BASE + (index % TRANSIT_NETWORKS) * 4;
  return {
    network: `${addressText(base)}/${TRANSIT_PREFIX}`,
    outside: addressText(base + 1),
    inside: addressText(base + 2),
  };
};

/** For `ip -batch` on the host. */
export const hostLinks = (device: string, transit: Transit): readonly string[] => [
  `address add ${transit.outside}/${TRANSIT_PREFIX} dev ${device}`,
  `link set dev ${device} up`,
];

/** For `ip -batch` in the router. */
export const routerLinks = (subnet: Subnet, transit: Transit): readonly string[] => [
  ...[UPLINK_HOST, RESOLVER_HOST].map(
    (host) => `address add ${addressOf(subnet, host)}/${subnet.prefix} dev ${INNER}`,
  ),
  `address add ${transit.inside}/${TRANSIT_PREFIX} dev ${OUTER}`,
  `link set dev ${INNER} up`,
  `link set dev ${OUTER} up`,
  `route add default via ${transit.outside}`,
];

/** For `nft -f` in the router: its own address leads to the host, as it does with QEMU's user networking. */
export const routerRules = (
  subnet: Subnet,
  transit: Transit,
  resolver: string | undefined,
): readonly string[] => [
  "table ip provium {",
  " chain forward {",
  "  type filter hook forward priority 0; policy drop",
  `  iifname "${INNER}" oifname "${OUTER}" accept`,
  `  iifname "${OUTER}" oifname "${INNER}" ct state established,related accept`,
  " }",
  " chain prerouting {",
  "  type nat hook prerouting priority -100",
  `  iifname "${INNER}" ip daddr ${addressOf(subnet, UPLINK_HOST)} dnat to ${transit.outside}`,
  ...(resolver === undefined ? [] : ["udp", "tcp"]).map(
    (protocol) =>
      `  iifname "${INNER}" ip daddr ${addressOf(subnet, RESOLVER_HOST)} ${protocol} dport 53 dnat to ${resolver}`,
  ),
  " }",
  " chain postrouting {",
  "  type nat hook postrouting priority 100",
  `  oifname "${OUTER}" masquerade`,
  " }",
  "}",
];

/** For `nft -i` on the host: the table is gone with the process that has made it. */
export const hostTable = (device: string, transit: Transit): readonly string[] => [
  `table ip ${device} { flags owner; chain postrouting { type nat hook postrouting priority 100; ip saddr ${transit.network} oifname != "${device}" masquerade; }; }`,
];

const UP = 1;
const REJECT = 0x200;

/** The device of the default route in /proc/net/route: proc_net(5). */
export const defaultDevice = (routes: string): string | undefined => {
  const usable = routes
    .split("\n")
    .slice(1)
    .map((line) => line.split(/\s+/))
    .filter(([, destination, , flags = "0", , , , mask]) => {
      const bits = Number.parseInt(flags, 16);
      return destination === "00000000" && mask === "00000000" && (bits & UP) !== 0 && (bits & REJECT) === 0;
    });
  return usable.sort((a, b) => Number(a[6]) - Number(b[6]))[0]?.[0];
};

/** The first name server of resolv.conf(5) texts that is no service of the host's own loopback. */
export const upstreamResolver = (files: readonly string[]): string | undefined =>
  files
    .flatMap((text) => [...text.matchAll(/^nameserver\s+(\d+\.\d+\.\d+\.\d+)\s*$/gm)])
    .map(([, address]) => address as string)
    .find((address) => !address.startsWith("127."));

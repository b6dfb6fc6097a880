/** Addresses of a bridge and of what is attached to it. Pure. */

import { createHash } from "node:crypto";
import { isIPv4 } from "node:net";
import { ApiError } from "../errors/errors.ts";

/** The IPv4 network of a bridge and the IPv6 network (a unique local address, RFC 4193) that goes with it. */
export interface Subnet {
  /** First address as a number. */
  readonly base: number;
  readonly prefix: number;
  /** First 64 bits of the IPv6 addresses: "fd70:a59:0:7600". */
  readonly prefix6: string;
}

/** The bridge itself is host 1, services of ours follow, guests begin here. */
export const FIRST_GUEST = 10;
export const BRIDGE_HOST = 1;
export const UPLINK_HOST = 2;
export const RESOLVER_HOST = 3;
/** Where the DHCP responder and name server of a bridge is. */
export const SERVICE_HOST = 4;
/** Must hold the bridge, our services and two guests. */
const LONGEST_PREFIX = 28;
const SHORTEST_PREFIX = 8;

export const addressText = (address: number): string =>
  [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join(".");

const numeric = (text: string): number =>
  text.split(".").reduce((address, part) => address * 256 + Number(part), 0);

const sizeOf = (prefix: number): number => 2 ** (32 - prefix);

/** Network number `index` of a test file where nobody names one: 10.89.0.0/24, 10.89.1.0/24, … */
export const defaultSubnet = (index: number): Subnet => {
  const base = numeric(`10.${89 + (index >> 8)}.${index & 255}.0`);
  return { base, prefix: 24, prefix6: prefix6(base) };
};

/** Made of the IPv4 network, so that a copy of a bridge has the same. */
const prefix6 = (base: number): string =>
  `fd70:${(base >>> 16).toString(16)}:${(base & 0xffff).toString(16)}:7600`;

/** Reads "10.1.2.0/24". Throws ApiError naming what is wrong. */
export const parseSubnet = (text: string): Subnet => {
  const refuse = (why: string): never => {
    throw new ApiError(
      `bridge: opts.subnet must be an IPv4 network such as "10.1.2.0/24", got "${text}"${why}`,
    );
  };
  const [address = "", length = "", ...rest] = text.split("/");
  if (rest.length > 0 || !isIPv4(address) || !/^\d{1,2}$/.test(length)) return refuse("");
  const prefix = Number(length);
  if (prefix < SHORTEST_PREFIX || prefix > LONGEST_PREFIX)
    return refuse(`: the length goes from /${SHORTEST_PREFIX} to /${LONGEST_PREFIX}`);
  const base = numeric(address);
  const first = base - (base % sizeOf(prefix));
  if (first !== base) return refuse(`, whose network is ${addressText(first)}/${prefix}`);
  if (base >= numeric("224.0.0.0") || base < numeric("1.0.0.0") || Math.floor(base / 2 ** 24) === 127)
    return refuse(": that range has no ordinary addresses");
  return { base, prefix, prefix6: prefix6(base) };
};

export const overlaps = (a: Subnet, b: Subnet): boolean =>
  a.base < b.base + sizeOf(b.prefix) && b.base < a.base + sizeOf(a.prefix);

/** "10.89.0.0/24". */
export const networkOf = (subnet: Subnet): string => `${addressText(subnet.base)}/${subnet.prefix}`;

export const network6Of = (subnet: Subnet): string => `${subnet.prefix6}::/64`;

/** Address number `host` of the network, without its length. */
export const addressOf = (subnet: Subnet, host: number): string => addressText(subnet.base + host);
export const address6Of = (subnet: Subnet, host: number): string => `${subnet.prefix6}::${host.toString(16)}`;

/** The numbers that guests may have: all but the broadcast address. */
export const lastGuest = (subnet: Subnet): number => sizeOf(subnet.prefix) - 2;

export const netmaskOf = (subnet: Subnet): string => addressText(2 ** 32 - sizeOf(subnet.prefix));

/**
 * A MAC address that depends on the names alone, so that it is the same in every run: QEMU's range 52:54:00, then
 * three bytes of a hash. `taken` ones are passed over.
 */
export const stableMac = (bridge: string, vm: string, taken: ReadonlySet<string>): string => {
  for (let attempt = 0; ; attempt++) {
    const hash = createHash("sha256")
      .update(JSON.stringify([bridge, vm, attempt]))
      .digest();
    const mac = [0x52, 0x54, 0x00, hash[0], hash[1], hash[2]]
      .map((byte) => (byte as number).toString(16).padStart(2, "0"))
      .join(":");
    if (!taken.has(mac)) return mac;
  }
};

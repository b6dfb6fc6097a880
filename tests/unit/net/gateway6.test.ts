import { describe, expect, test } from "bun:test";
import type { BackendBridge } from "../../../src/net/backend.ts";
import { icmp6, ip6, ipv6, joined, macOf, u32 } from "../packet/frames.ts";
import { Host } from "./host.ts";
import { Lab, type Nic } from "./nics.ts";

const IPV6 = 0x86dd;
const ICMPV6 = 58;
const UDP = 17;
const [UNREACHABLE, TOO_BIG, TIME_EXCEEDED, ECHO, ECHO_REPLY, SOLICITATION, ADVERTISEMENT] = [
  1, 2, 3, 128, 129, 135, 136,
];
const GATEWAY = { ipv4: "10.1.0.1/24", ipv6: "fd00:0:0:1::1" };
const OTHER = { ipv4: "10.2.0.1/24", ipv6: "fd00:0:0:2::1" };
const text = (value: string): Uint8Array => new TextEncoder().encode(value);

class Ipv6Host extends Host {
  constructor(lab: Lab, nic: Nic, ip: string) {
    super(lab, nic, ip, IPV6);
  }

  /** Asks who has the address and returns who says so. */
  solicit(target: string, hops = 255): void {
    const low = ip6(target).slice(13);
    const group = `ff02::1:ff${low[0]!.toString(16).padStart(2, "0")}:${((low[1]! << 8) | low[2]!).toString(16)}`;
    const message = joined(u32(0), ip6(target), [1, 1], macOf(this.mac));
    const ethernet = `33:33:ff:${low.map((byte) => byte.toString(16).padStart(2, "0")).join(":")}`;
    this.send(ethernet, ipv6(this.ip, group, ICMPV6, icmp6(this.ip, group, SOLICITATION, 0, message), hops));
  }

  /** Says that the address is its own, once it is asked. */
  advertise(): void {
    const asked = this.told(SOLICITATION);
    const { eth: from, ip } = asked as { eth: { src: string }; ip: { src: string } };
    const message = joined(u32(0x6000_0000), ip6(this.ip), [2, 1], macOf(this.mac));
    this.send(
      from.src,
      ipv6(this.ip, ip.src, ICMPV6, icmp6(this.ip, ip.src, ADVERTISEMENT, 0, message), 255),
    );
  }
}

const twoNetworks = (lab: Lab, mtu = 1500): { a: Ipv6Host; b: Ipv6Host; other: BackendBridge } => {
  const other = lab.openBridge("other", mtu, OTHER);
  return {
    a: new Ipv6Host(lab, lab.nic("a"), "fd00:0:0:1::2"),
    b: new Ipv6Host(lab, lab.nic("b", other), "fd00:0:0:2::2"),
    other,
  };
};

const datagram = (a: Ipv6Host, to: string, size: number, hops?: number): Uint8Array =>
  ipv6(a.ip, to, UDP, new Uint8Array(size), hops);

describe("the bridge's own IPv6 address", () => {
  test("is found by its neighbours and answers their pings", () => {
    using lab = new Lab(1500, GATEWAY);
    const a = new Ipv6Host(lab, lab.nic(), "fd00:0:0:1::2");
    a.solicit(GATEWAY.ipv6);
    const { eth: ethernet, ip } = a.told(ADVERTISEMENT);
    expect([ethernet?.dst, ip?.src, ip?.dst]).toEqual([a.mac, "fd00:0:0:1::1", a.ip]);
    a.send(
      ethernet!.src,
      ipv6(a.ip, GATEWAY.ipv6, ICMPV6, icmp6(a.ip, GATEWAY.ipv6, ECHO, 0, text("0000ping"))),
    );
    const reply = a.told(ECHO_REPLY);
    expect(reply).toMatchObject({ ip: { src: "fd00:0:0:1::1", ttl: 64 }, icmp: { checksum_ok: true } });
  });

  test("believes nobody whose question has passed a router", () => {
    using lab = new Lab(1500, GATEWAY);
    const a = new Ipv6Host(lab, lab.nic(), "fd00:0:0:1::2");
    a.solicit(GATEWAY.ipv6, 254);
    a.solicit("fd00:0:0:1::7");
    a.solicit(GATEWAY.ipv6);
    a.told(ADVERTISEMENT);
    expect(a.packets.filter(({ icmp }) => icmp?.type === ADVERTISEMENT).length).toBe(1);
  });
});

describe("a route for IPv6", () => {
  test("carries packets through, finds the receiver, and counts down the hops", () => {
    using lab = new Lab(1500, GATEWAY);
    const { a, b, other } = twoNetworks(lab);
    lab.run(lab.backend.route(lab.bridge, other, true));
    a.send("02:50:0a:01:00:01", datagram(a, b.ip, 100));
    b.advertise();
    const came = () => b.packets.find(({ ip }) => ip?.protocol === UDP);
    lab.until(() => came() !== undefined, "the packet");
    expect(came()).toMatchObject({
      eth: { src: "02:50:0a:02:00:01", dst: b.mac },
      ip: { src: a.ip, ttl: 63 },
    });
  });

  test("says why a packet goes no further", () => {
    using lab = new Lab(9000, GATEWAY);
    const { a, b, other } = twoNetworks(lab);
    a.solicit(GATEWAY.ipv6);
    const to = a.told(ADVERTISEMENT).eth!.src;
    a.send(to, datagram(a, b.ip, 10));
    expect(a.told(UNREACHABLE)).toMatchObject({ icmp: { code: 0, checksum_ok: true } });
    lab.run(lab.backend.route(lab.bridge, other, true));
    a.send(to, datagram(a, b.ip, 10, 1));
    expect(a.told(TIME_EXCEEDED)).toMatchObject({ icmp: { code: 0, checksum_ok: true } });
    a.send(to, datagram(a, b.ip, 4000));
    expect(a.told(TOO_BIG)).toMatchObject({ ip: { length: 1280 }, icmp: { checksum_ok: true } });
    // Of an error there is no error.
    const before = a.nic.received.length;
    a.send(to, ipv6(a.ip, b.ip, ICMPV6, icmp6(a.ip, b.ip, UNREACHABLE, 0, u32(0)), 1));
    a.send(to, ipv6(a.ip, GATEWAY.ipv6, ICMPV6, icmp6(a.ip, GATEWAY.ipv6, ECHO, 0, u32(0))));
    a.told(ECHO_REPLY);
    expect(a.nic.received.length).toBe(before + 1);
  });
});

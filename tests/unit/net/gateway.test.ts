import { describe, expect, test } from "bun:test";
import type { BackendBridge } from "../../../src/net/backend.ts";
import { macText } from "../../../src/packet/addresses.ts";
import { dissect } from "../../../src/packet/dissect.ts";
import { arp, eth, icmp, ipv4, udp } from "../packet/frames.ts";
import { Host } from "./host.ts";
import { Lab, type Nic, pair } from "./nics.ts";

const NOBODY = "00:00:00:00:00:00";
const ALL = "ff:ff:ff:ff:ff:ff";
const IPV4 = 0x0800;
const DONT_FRAGMENT = 0x4000;
const text = (value: string): Uint8Array => new TextEncoder().encode(value);

/** Answers ARP for its address. */
class Ipv4Host extends Host {
  constructor(lab: Lab, nic: Nic, ip: string) {
    super(lab, nic, ip, IPV4);
  }

  /** Asks the gateway for its address and returns it. */
  gateway(ip: string): string {
    this.nic.send(eth(ALL, this.mac, 0x0806, arp(1, this.mac, this.ip, NOBODY, ip)));
    this.lab.until(() => this.packets.some((found) => found.arp?.op === 2), "an answer to ARP");
    return this.packets.find((found) => found.arp?.op === 2)?.arp?.sender_mac as string;
  }

  /** Answers the ARP request that comes for its address. */
  answerArp(): void {
    this.lab.until(() => this.packets.some((found) => found.arp?.target_ip === this.ip), "an ARP request");
    const { sender_mac, sender_ip } = this.packets.find((found) => found.arp?.target_ip === this.ip)!.arp!;
    this.nic.send(eth(sender_mac, this.mac, 0x0806, arp(2, this.mac, this.ip, sender_mac, sender_ip)));
  }
}

/** Two networks, 10.1.0.0/24 and 10.2.0.0/24, with a host in each. */
const twoNetworks = (lab: Lab, mtu = 1500): { a: Ipv4Host; b: Ipv4Host; other: BackendBridge } => {
  const other = lab.openBridge("other", mtu, "10.2.0.1/24");
  return {
    a: new Ipv4Host(lab, lab.nic("a"), "10.1.0.2"),
    b: new Ipv4Host(lab, lab.nic("b", other), "10.2.0.2"),
    other,
  };
};

describe("the bridge's own address", () => {
  test("it answers ARP and pings, and counts nothing that is not for it", () => {
    using lab = new Lab(1500, "10.1.0.1/24");
    const host = new Ipv4Host(lab, lab.nic(), "10.1.0.2");
    const to = host.gateway("10.1.0.1");
    expect(to).toBe("02:50:0a:01:00:01");
    host.send(to, ipv4("10.1.0.2", "10.1.0.1", 1, icmp(8, 5, 6, text("ping"))));
    const reply = host.told(0);
    expect(reply).toMatchObject({
      ip: { src: "10.1.0.1", dst: "10.1.0.2", checksum_ok: true },
      icmp: { id: 5, seq: 6, checksum_ok: true },
    });
    expect(new TextDecoder().decode(reply.payload)).toBe("ping");
  });

  test("a packet with a wrong checksum gets no answer", () => {
    using lab = new Lab(1500, "10.1.0.1/24");
    const host = new Ipv4Host(lab, lab.nic(), "10.1.0.2");
    const to = host.gateway("10.1.0.1");
    const broken = ipv4("10.1.0.2", "10.1.0.1", 1, icmp(8, 1, 1, text("x")));
    broken[8]! ^= 1;
    host.send(to, broken);
    host.send(to, ipv4("10.1.0.2", "10.1.0.1", 1, icmp(8, 1, 2, text("x"))));
    expect(host.told(0).icmp?.seq).toBe(2);
    expect(host.packets.filter((found) => found.icmp?.type === 0).length).toBe(1);
  });

  // What it says while a frame is delivered to it entered the schedule above frames that were due sooner.
  test("an answer of its own that is long under way does not hold up the frames of others", () => {
    using lab = new Lab(1500, "10.1.0.1/24");
    const host = new Ipv4Host(lab, lab.nic(), "10.1.0.2");
    const [b, c] = [lab.nic(), lab.nic()];
    const to = host.gateway("10.1.0.1");
    c.await(1);
    c.clear();
    const own = { id: 0 };
    lab.apply([
      pair(host.nic, own, { latencyNs: 100_000_000 }),
      pair(own, host.nic, { latencyNs: 3600e9 }),
      pair(b, c, { latencyNs: 500_000_000 }),
    ]);
    host.send(to, ipv4("10.1.0.2", "10.1.0.1", 1, icmp(8, 1, 1, text("x"))));
    b.tell(c, 1);
    c.await(1);
  });

  test("a bridge without address has no gateway", () => {
    using lab = new Lab();
    const [a, b] = [lab.nic(), lab.nic()];
    const mac = macText(a.mac);
    a.send(eth(ALL, mac, 0x0806, arp(1, mac, "10.1.0.2", NOBODY, "10.1.0.1")));
    b.await(1);
    b.tell(a, 1);
    a.await(1);
    expect(a.frames.map(dissect).some((found) => found.arp !== undefined)).toBe(false);
  });
});

describe("a route", () => {
  test("carries packets through, finds the receiver by ARP, and counts down the time to live", () => {
    using lab = new Lab(1500, "10.1.0.1/24");
    const { a, b, other } = twoNetworks(lab);
    lab.run(lab.backend.route(lab.bridge, other, true));
    const to = a.gateway("10.1.0.1");
    a.send(to, ipv4(a.ip, b.ip, 17, udp(a.ip, 1000, b.ip, 2000, text("first"))));
    a.send(to, ipv4(a.ip, b.ip, 17, udp(a.ip, 1000, b.ip, 2000, text("second"))));
    b.answerArp();
    lab.until(() => b.packets.filter((found) => found.udp).length === 2, "the packets");
    const came = b.packets.filter((found) => found.udp);
    expect(came.map((found) => new TextDecoder().decode(found.payload))).toEqual(["first", "second"]);
    expect(came[0]).toMatchObject({
      eth: { src: "02:50:0a:02:00:01", dst: b.mac },
      ip: { ttl: 63, checksum_ok: true },
      udp: { checksum_ok: true },
    });
    b.send("02:50:0a:02:00:01", ipv4(b.ip, "10.1.0.1", 1, icmp(8, 1, 1, text("over there"))));
    expect(b.told(0).ip?.src).toBe("10.1.0.1");
  });

  test("without it the sender is told that the network cannot be reached", () => {
    using lab = new Lab(1500, "10.1.0.1/24");
    const { a, b } = twoNetworks(lab);
    const to = a.gateway("10.1.0.1");
    a.send(to, ipv4(a.ip, b.ip, 17, udp(a.ip, 1, b.ip, 2, text("lost"))));
    expect(a.told(3)).toMatchObject({ ip: { src: "10.1.0.1" }, icmp: { code: 0, checksum_ok: true } });
    expect(b.nic.frames).toEqual([]);
  });

  test("a packet at the end of its time to live, and one too long for the way, come back as ICMP", () => {
    using lab = new Lab(9000, "10.1.0.1/24");
    const { a, b, other } = twoNetworks(lab, 1500);
    lab.run(lab.backend.route(lab.bridge, other, true));
    const to = a.gateway("10.1.0.1");
    a.send(to, ipv4(a.ip, b.ip, 17, udp(a.ip, 1, b.ip, 2, text("old")), { ttl: 1 }));
    expect(a.told(11)).toMatchObject({ icmp: { code: 0, checksum_ok: true } });
    const long = udp(a.ip, 1, b.ip, 2, new Uint8Array(2000));
    a.send(to, ipv4(a.ip, b.ip, 17, long, { flags: DONT_FRAGMENT }));
    expect(a.told(3)).toMatchObject({ icmp: { code: 4, checksum_ok: true } });
  });

  test("ends when it is ended, and with either bridge", () => {
    using lab = new Lab(1500, "10.1.0.1/24");
    const { a, b, other } = twoNetworks(lab);
    const to = a.gateway("10.1.0.1");
    for (const end of [lab.backend.route(lab.bridge, other, false), other.close()]) {
      lab.run(lab.backend.route(lab.bridge, other, true));
      lab.run(end);
      a.nic.clear();
      a.send(to, ipv4(a.ip, b.ip, 17, udp(a.ip, 1, b.ip, 2, text("lost"))));
      expect(a.told(3)).toMatchObject({ icmp: { code: 0 } });
    }
    expect(b.nic.frames).toEqual([]);
  });
});

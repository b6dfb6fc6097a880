import { describe, expect, test } from "bun:test";
import { encode } from "dns-packet";
import { ipv6Text } from "../../../src/packet/addresses.ts";
import { internetChecksum } from "../../../src/packet/checksum.ts";
import { dissect } from "../../../src/packet/dissect.ts";
import { arp, eth, icmp, ipv4, joined, pseudo, u16, u32, udp } from "./frames.ts";

const A = "52:54:00:00:00:01";
const B = "52:54:00:00:00:02";
const text = (value: string): Uint8Array => new TextEncoder().encode(value);

const tcp = (flags: number, options: readonly number[], data: Uint8Array): Uint8Array => {
  const segment = joined(
    u16(40000),
    u16(80),
    u32(0xfffffffe),
    u32(5),
    u16(((20 + options.length) << 10) | flags),
    u16(4096),
    [0, 0, 0, 0],
    options,
    data,
  );
  segment.set(u16(internetChecksum(pseudo("10.0.0.1", "10.0.0.2", 6, segment.byteLength), segment)), 16);
  return eth(B, A, 0x0800, ipv4("10.0.0.1", "10.0.0.2", 6, segment));
};

const query = udp(
  "10.0.0.1",
  5000,
  "10.0.0.2",
  53,
  encode({
    type: "query",
    id: 99,
    flags: 0x100,
    questions: [{ name: "b.lan", type: "A" }],
  }),
);

describe("dissect", () => {
  test("an ARP request", () => {
    const found = dissect(
      eth("ff:ff:ff:ff:ff:ff", A, 0x0806, arp(1, A, "10.0.0.1", "00:00:00:00:00:00", "10.0.0.2")),
    );
    expect(found.eth).toEqual({ dst: "ff:ff:ff:ff:ff:ff", src: A, type: 0x0806, vlans: [] });
    expect(found.arp).toEqual({
      op: 1,
      sender_mac: A,
      sender_ip: "10.0.0.1",
      target_mac: "00:00:00:00:00:00",
      target_ip: "10.0.0.2",
    });
  });

  test("a ping behind two VLAN tags", () => {
    const packet = ipv4("10.0.0.1", "10.0.0.2", 1, icmp(8, 3, 4, text("abc")));
    const found = dissect(eth(B, A, 0x88a8, joined(u16(0x6064), u16(0x8100), u16(200), u16(0x0800), packet)));
    expect(found.eth).toMatchObject({
      type: 0x0800,
      vlans: [
        { id: 100, priority: 3, type: 0x88a8 },
        { id: 200, priority: 0, type: 0x8100 },
      ],
    });
    expect(found.ip).toMatchObject({
      version: 4,
      src: "10.0.0.1",
      dst: "10.0.0.2",
      protocol: 1,
      ttl: 64,
      checksum_ok: true,
    });
    expect(found.icmp).toEqual({ type: 8, code: 0, id: 3, seq: 4, checksum_ok: true });
    expect(new TextDecoder().decode(found.payload)).toBe("abc");
    expect(found.malformed).toBeUndefined();
  });

  test("padding behind a short packet is not its payload", () => {
    const packet = ipv4("10.0.0.1", "10.0.0.2", 17, udp("10.0.0.1", 1, "10.0.0.2", 2, text("hi")));
    const found = dissect(eth(B, A, 0x0800, joined(packet, new Uint8Array(16))));
    expect(found.udp).toEqual({ src_port: 1, dst_port: 2, length: 10, checksum_ok: true });
    expect(new TextDecoder().decode(found.payload)).toBe("hi");
  });

  test("a SYN with its largest segment, and a reset", () => {
    expect(dissect(tcp(2, [1, 1, 1, 2, 4, 5, 0xb4, 0], text(""))).tcp).toEqual({
      src_port: 40000,
      dst_port: 80,
      seq: 0xfffffffe,
      ack: 5,
      window: 4096,
      fin: false,
      syn: true,
      rst: false,
      psh: false,
      ack_set: false,
      urg: false,
      mss: 1460,
      checksum_ok: true,
    });
    const found = dissect(tcp(0x14, [], text("why")));
    expect(found.tcp).toMatchObject({ rst: true, ack_set: true, syn: false });
    expect(new TextDecoder().decode(found.payload)).toBe("why");
  });

  test("a DNS question and its answer", () => {
    const asked = dissect(eth(B, A, 0x0800, ipv4("10.0.0.1", "10.0.0.2", 17, query)));
    expect(asked.dns).toMatchObject({ id: 99, response: false, recursion_desired: true });
    expect(asked.dns?.questions).toEqual([{ name: "b.lan", type: "A" }]);
    const answer = encode({
      type: "response",
      id: 99,
      questions: [{ name: "b.lan", type: "A" }],
      answers: [
        { name: "b.lan", type: "A", ttl: 60, data: "10.0.0.2" },
        { name: "b.lan", type: "TXT", ttl: 5, data: ["one"] },
      ],
    });
    const reply = udp("10.0.0.2", 53, "10.0.0.1", 5000, answer);
    const found = dissect(eth(A, B, 0x0800, ipv4("10.0.0.2", "10.0.0.1", 17, reply)));
    expect(found.dns).toMatchObject({ response: true, rcode: "NOERROR" });
    expect(found.dns?.answers).toEqual([
      { name: "b.lan", type: "A", ttl: 60, data: "10.0.0.2" },
      { name: "b.lan", type: "TXT", ttl: 5, data: "one" },
    ]);
  });

  test("IPv6 with an extension header, a fragment, and ICMPv6 with its checksum", () => {
    const from = joined([0xfe, 0x80], new Uint8Array(13), [1]);
    const to = joined([0xff, 2], new Uint8Array(13), [1]);
    const message = joined([128, 0, 0, 0, 0, 9, 0, 1], text("x"));
    const sum = internetChecksum(joined(from, to, u32(message.byteLength), [0, 0, 0, 58]), message);
    message.set(u16(sum), 2);
    const body = joined([58, 0, 5, 2, 0, 0, 1, 0], message);
    const packet = joined(u32(0x60000000), u16(body.byteLength), [0, 255], from, to, body);
    const found = dissect(eth(B, A, 0x86dd, packet));
    expect(found.ip).toMatchObject({ version: 6, src: "fe80::1", dst: "ff02::1", protocol: 58, ttl: 255 });
    expect(found.icmp).toEqual({ type: 128, code: 0, id: 9, seq: 1, checksum_ok: true });

    const part = joined([17, 0], u16(8 | 1), u32(77), text("middle"));
    const later = dissect(
      eth(B, A, 0x86dd, joined(u32(0x60000000), u16(part.byteLength), [44, 64], from, to, part)),
    );
    expect(later.ip).toMatchObject({ protocol: 17, id: 77, more_fragments: true, fragment_offset: 8 });
    expect(later.udp).toBeUndefined();
    expect(new TextDecoder().decode(later.payload)).toBe("middle");
  });

  test("a flipped bit is seen in the checksum, a later fragment has none", () => {
    const frame = eth(
      B,
      A,
      0x0800,
      ipv4("10.0.0.1", "10.0.0.2", 17, udp("10.0.0.1", 1, "10.0.0.2", 2, text("data"))),
    );
    frame[frame.byteLength - 1]! ^= 4;
    expect(dissect(frame).udp?.checksum_ok).toBe(false);
    frame[20]! ^= 1;
    expect(dissect(frame).ip?.checksum_ok).toBe(false);
    const first = ipv4("10.0.0.1", "10.0.0.2", 17, joined(u16(1), u16(2), u16(2000), u16(1)), {
      flags: 0x2000,
    });
    expect(dissect(eth(B, A, 0x0800, first)).udp).toEqual({ src_port: 1, dst_port: 2, length: 2000 });
  });

  test("a layer that does not fit is named, and the ones around it are there", () => {
    const whole = eth(B, A, 0x0800, ipv4("10.0.0.1", "10.0.0.2", 17, query));
    expect(dissect(whole.subarray(0, 9))).toEqual({ payload: whole.subarray(0, 9), malformed: "eth" });
    expect(dissect(whole.subarray(0, 40))).toMatchObject({ malformed: "ip", eth: { type: 0x0800 } });
    const short = eth(B, A, 0x0800, ipv4("10.0.0.1", "10.0.0.2", 6, new Uint8Array(10)));
    expect(dissect(short)).toMatchObject({ malformed: "tcp", ip: { protocol: 6 } });
    const noDns = udp("10.0.0.1", 5000, "10.0.0.2", 53, Uint8Array.of(1, 2, 3));
    expect(dissect(eth(B, A, 0x0800, ipv4("10.0.0.1", "10.0.0.2", 17, noDns)))).toMatchObject({
      malformed: "dns",
      udp: { dst_port: 53 },
    });
  });

  test("IPv6 addresses are written as RFC 5952 has them", () => {
    const bytes = (...groups: number[]) => joined(...groups.map(u16));
    expect(ipv6Text(bytes(0, 0, 0, 0, 0, 0, 0, 0))).toBe("::");
    expect(ipv6Text(bytes(0x2001, 0xdb8, 0, 1, 0, 0, 0, 1))).toBe("2001:db8:0:1::1");
    expect(ipv6Text(bytes(0x2001, 0xdb8, 0, 0, 1, 0, 0, 1))).toBe("2001:db8::1:0:0:1");
    expect(ipv6Text(bytes(0, 0xa, 0, 1, 0, 1, 0, 1))).toBe("0:a:0:1:0:1:0:1");
    expect(ipv6Text(bytes(1, 2, 3, 4, 5, 6, 0, 0))).toBe("1:2:3:4:5:6::");
  });

  test("no bytes whatever raise anything: 30,000 damaged frames of a fixed seed", () => {
    let state = 20260101;
    const random = (below: number): number => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return (state >>> 8) % below;
    };
    const v6 = joined(
      u32(0x60000000),
      u16(8),
      [17, 64],
      new Uint8Array(32),
      u16(5353),
      u16(5353),
      u16(8),
      u16(0),
    );
    const samples = [
      eth(B, A, 0x0806, arp(2, A, "10.0.0.1", B, "10.0.0.2")),
      eth(B, A, 0x0800, ipv4("10.0.0.1", "10.0.0.2", 17, query)),
      eth(B, A, 0x8100, joined(u16(5), u16(0x86dd), v6)),
      tcp(2, [2, 4, 5, 0xb4], text("data")),
    ];
    let malformed = 0;
    for (let i = 0; i < 30_000; i++) {
      const frame = samples[random(samples.length)]!.slice();
      for (let hits = random(6); hits > 0; hits--) frame[12 + random(frame.byteLength - 12)] = random(256);
      const found = dissect(
        frame.subarray(0, random(4) === 0 ? random(frame.byteLength + 1) : frame.byteLength),
      );
      if (found.malformed !== undefined) malformed++;
    }
    expect(malformed).toBeGreaterThan(3000);
    expect(malformed).toBeLessThan(29_000);
  });
});

import { describe, expect, test } from "bun:test";
import { decode, encode } from "dns-packet";
import type { LeaseBook } from "../../../src/lab/network-host.ts";
import { parseSubnet } from "../../../src/lab/subnet.ts";
import { addressBytes, arpReply, parseDatagram, udpFrame } from "../../../src/net/datagram.ts";
import { dhcpAnswer } from "../../../src/net/dhcp.ts";
import { dnsAnswer } from "../../../src/net/dns.ts";

const MAC = [0x52, 0x54, 0, 1, 2, 3];
const book: LeaseBook = {
  bridge: "lan",
  subnet: parseSubnet("10.1.2.0/24"),
  mtu: 1500,
  routes: () => ["10.9.0.0/16 10.1.2.1", "0.0.0.0/0 10.1.2.2"],
  leases: () => [{ mac: "52:54:00:01:02:03", name: "Web", address: "10.1.2.10" }],
};

const message = (kind: number, more: readonly number[] = [], mac = MAC): Uint8Array => {
  const bytes = new Uint8Array(300);
  bytes.set([1, 1, 6, 0, 9, 9, 9, 9]);
  bytes.set(mac, 28);
  bytes.set([0x63, 0x82, 0x53, 0x63, 53, 1, kind, ...more, 255], 236);
  return bytes;
};

const options = (reply: Uint8Array | undefined): Map<number, number[]> => {
  const found = new Map<number, number[]>();
  const bytes = reply ?? new Uint8Array(0);
  for (let at = 240; at < bytes.length && bytes[at] !== 255; at += 2 + (bytes[at + 1] as number))
    found.set(bytes[at] as number, [...bytes.subarray(at + 2, at + 2 + (bytes[at + 1] as number))]);
  return found;
};

describe("the DHCP responder", () => {
  test("offers the address that belongs to the MAC address, with routes and name server", () => {
    const reply = dhcpAnswer(message(1), book);
    expect([...(reply?.subarray(16, 20) ?? [])]).toEqual([10, 1, 2, 10]);
    const said = options(reply);
    expect(said.get(53)).toEqual([2]);
    expect(said.get(1)).toEqual([255, 255, 255, 0]);
    expect(said.get(3)).toEqual([10, 1, 2, 2]);
    expect(said.get(6)).toEqual([10, 1, 2, 4]);
    expect(said.get(26)).toEqual([5, 220]);
    expect(said.get(121)).toEqual([16, 10, 9, 10, 1, 2, 1, 0, 10, 1, 2, 2]);
    expect([...(reply?.subarray(4, 8) ?? [])]).toEqual([9, 9, 9, 9]);
  });

  test("confirms that address and refuses any other", () => {
    expect(options(dhcpAnswer(message(3, [50, 4, 10, 1, 2, 10]), book)).get(53)).toEqual([5]);
    expect(options(dhcpAnswer(message(3, [50, 4, 10, 1, 2, 11]), book)).get(53)).toEqual([6]);
  });

  test("says nothing to strangers, to who has chosen another server, and to garbage", () => {
    expect(dhcpAnswer(message(1, [], [2, 0, 0, 0, 0, 9]), book)).toBeUndefined();
    expect(dhcpAnswer(message(3, [54, 4, 1, 2, 3, 4]), book)).toBeUndefined();
    expect(dhcpAnswer(new Uint8Array(300), book)).toBeUndefined();
    expect(dhcpAnswer(message(1).subarray(0, 100), book)).toBeUndefined();
    expect(dhcpAnswer(message(7), book)).toBeUndefined();
  });
});

describe("the name server", () => {
  const ask = (name: string, type: "A" | "AAAA" = "A") => {
    const reply = dnsAnswer(encode({ type: "query", id: 7, questions: [{ type, name }] }), book);
    return decode(Buffer.from(reply as Uint8Array));
  };

  const rcode = (reply: { flags?: number | undefined }): number => (reply.flags ?? 0) & 15;

  test("knows members with and without the bridge's name, in any case", () => {
    for (const name of ["web", "WEB.lan", "web.lan."])
      expect(ask(name).answers?.map((answer) => "data" in answer && answer.data)).toEqual(["10.1.2.10"]);
  });

  test("a name that is no text is a format error, and the answer can be read", () => {
    const query = Buffer.from(
      encode({ type: "query", id: 7, questions: [{ type: "A", name: "x".repeat(60) }] }),
    );
    query.fill(0xff, 13, 73);
    expect(rcode(decode(Buffer.from(dnsAnswer(query, book) as Uint8Array)))).toBe(1);
    expect(rcode(ask("."))).toBe(3);
  });

  test("a name without that kind of address has no answers; an unknown one does not exist", () => {
    expect(rcode(ask("web.lan", "AAAA"))).toBe(0);
    expect(ask("web.lan", "AAAA").answers).toEqual([]);
    expect(rcode(ask("ghost.lan"))).toBe(3);
  });

  test("garbage gets no answer", () => {
    expect(dnsAnswer(Uint8Array.of(1, 2, 3), book)).toBeUndefined();
    expect(dnsAnswer(encode({ type: "response", id: 1 }), book)).toBeUndefined();
  });
});

describe("frames of a service", () => {
  const from = { mac: Uint8Array.of(2, 0, 0, 0, 0, 1), address: addressBytes("10.1.2.4"), port: 67 };
  const to = { mac: Uint8Array.of(2, 0, 0, 0, 0, 2), address: addressBytes("10.1.2.10"), port: 68 };

  test("a datagram that is packed can be unpacked", () => {
    const datagram = parseDatagram(udpFrame(from, to, Uint8Array.of(1, 2, 3)));
    expect(datagram).toMatchObject({ sourcePort: 67, targetPort: 68 });
    expect([...(datagram?.payload ?? [])]).toEqual([1, 2, 3]);
  });

  test("what is cut short, fragmented or something else is no datagram", () => {
    const frame = udpFrame(from, to, Uint8Array.of(1, 2, 3));
    expect(parseDatagram(frame.subarray(0, frame.length - 1))).toBeUndefined();
    const fragment = frame.slice();
    fragment[20] = 0x20;
    expect(parseDatagram(fragment)).toBeUndefined();
    const tcp = frame.slice();
    tcp[23] = 6;
    expect(parseDatagram(tcp)).toBeUndefined();
  });

  test("a question for our address is answered to who asked, and no other", () => {
    const question = new Uint8Array(60);
    question.set([
      ...new Array(6).fill(0xff),
      ...to.mac,
      8,
      6,
      0,
      1,
      8,
      0,
      6,
      4,
      0,
      1,
      ...to.mac,
      ...to.address,
      0,
      0,
      0,
      0,
      0,
      0,
    ]);
    question.set(from.address, 38);
    const answer = arpReply(question, from.mac, from.address);
    expect([...(answer?.subarray(0, 6) ?? [])]).toEqual([...to.mac]);
    expect([...(answer?.subarray(22, 32) ?? [])]).toEqual([...from.mac, ...from.address]);
    expect(arpReply(question, from.mac, to.address)).toBeUndefined();
  });
});

/** Frames of a guest to the port that answers DHCP, names and ARP: no answer, or one that fits a frame and can be read. */

import { decode, encode } from "dns-packet";
import type { LeaseBook } from "../../../src/lab/network-host.ts";
import { parseSubnet } from "../../../src/lab/subnet.ts";
import { addressBytes, arpReply, parseDatagram } from "../../../src/net/datagram.ts";
import { dhcpAnswer } from "../../../src/net/dhcp.ts";
import { dnsAnswer } from "../../../src/net/dns.ts";
import { arp, eth, joined, udp } from "../../unit/packet/frames.ts";
import { bytesOf, must, type Target } from "../target.ts";

const GUEST = "52:54:00:00:00:01";
const OWN = "52:54:02:00:00:04";
const BOOK: LeaseBook = {
  bridge: "lan",
  subnet: parseSubnet("10.1.2.0/24"),
  mtu: 1500,
  routes: () => ["10.9.0.0/16 10.1.2.1", "0.0.0.0/0 10.1.2.2"],
  leases: () => [{ mac: GUEST, name: "web", address: "10.1.2.10" }],
};

const dhcp = (kind: number, ...more: number[]): Uint8Array => {
  const message = new Uint8Array(300);
  message.set([1, 1, 6, 0, 9, 9, 9, 9]);
  message.set([0x52, 0x54, 0, 0, 0, 1], 28);
  message.set([0x63, 0x82, 0x53, 0x63, 53, 1, kind, ...more, 255], 236);
  return message;
};
const ask = (name: string, type: "A" | "AAAA" = "A"): Uint8Array =>
  encode({ type: "query", id: 7, questions: [{ type, name }] });
const sent = (port: number, payload: Uint8Array): Uint8Array =>
  eth(OWN, GUEST, 0x0800, udp("10.1.2.10", 5000, "10.1.2.4", port, payload));

const DNS_PORT = 53;
/** What one UDP datagram over IPv4 holds. */
const LARGEST = 65_507;

const checked = (port: number, reply: Uint8Array): void => {
  must(reply.byteLength <= LARGEST, "an answer fits a datagram");
  if (port === DNS_PORT) must(decode(Buffer.from(reply)).type === "response", "an answer is a response");
};

export const services: Target = {
  name: "services",
  source: import.meta.file,
  seeds: [
    sent(67, dhcp(1)),
    sent(67, dhcp(3, 50, 4, 10, 1, 2, 10, 54, 4, 10, 1, 2, 4)),
    sent(DNS_PORT, ask("web.lan")),
    sent(DNS_PORT, ask("a.long.name.that.nobody.has", "AAAA")),
    eth("ff:ff:ff:ff:ff:ff", GUEST, 0x0806, arp(1, GUEST, "10.1.2.10", "00:00:00:00:00:00", "10.1.2.4")),
    // A label of 60 bytes which are no UTF-8.
    ask("x".repeat(60)).map((byte) => (byte === 0x78 ? 0xff : byte)),
    joined(bytesOf("web\x00"), ask("web")),
  ],
  words: [
    ...["\x03web\x03lan\x00", "\x3f", "\xc0\x0c", "\x00\x01\x00\x01", "\x00\x29", "web", ".", "\u00e9"],
    ...[
      [0xc0, 0x0c],
      [0xff, 0xff],
      [0x35, 1, 3],
      [0x32, 4],
      [0x36, 4],
      [0, 41],
      [0, 16],
      [0x63, 0x82, 0x53, 0x63],
    ].map((it) => Uint8Array.from(it)),
  ],
  run: (input) => {
    const datagram = parseDatagram(input);
    arpReply(input, addressBytes("1.2.3.4.5.6"), addressBytes("10.1.2.4"));
    // What follows is the payload, also where no frame is around it: most inputs would not get so far.
    for (const payload of datagram === undefined ? [input] : [datagram.payload, input])
      for (const [port, answer] of [
        [67, dhcpAnswer(payload, BOOK)],
        [DNS_PORT, dnsAnswer(payload, BOOK)],
      ] as const)
        if (answer !== undefined) checked(port, answer);
  },
};

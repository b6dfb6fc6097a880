/** Captures and frames of any kind: what fits is read, what does not is an `ApiError` or `malformed`. */

import { ApiError } from "../../../src/errors/errors.ts";
import { dissect } from "../../../src/packet/dissect.ts";
import { readPcap } from "../../../src/packet/pcap.ts";
import { arp, eth, icmp, ipv4, joined, u16, u32, udp } from "../../unit/packet/frames.ts";
import { bytesOf, must, type Target } from "../target.ts";

const A = "52:54:00:00:00:01";
const B = "52:54:00:00:00:02";

const DNS = "\x00\x63\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01b\x03lan\x00\x00\x01\x00\x01";
const FRAMES = [
  eth("ff:ff:ff:ff:ff:ff", A, 0x0806, arp(1, A, "10.0.0.1", "00:00:00:00:00:00", "10.0.0.2")),
  eth(B, A, 0x0800, ipv4("10.0.0.1", "10.0.0.2", 1, icmp(8, 3, 4, bytesOf("abc")))),
  eth(B, A, 0x0800, udp("10.0.0.1", 5000, "10.0.0.2", 53, bytesOf(DNS))),
  eth(B, A, 0x86dd, joined([0x60, 0, 0, 0, 0, 8, 0, 64], new Uint8Array(32), u16(1), u16(2), u16(8), u16(0))),
];

const record = (frame: Uint8Array): Uint8Array =>
  joined(u32(1), u32(2), u32(frame.byteLength), u32(frame.byteLength), frame);
const CAPTURE = joined(
  u32(0xa1b23c4d),
  u16(2),
  u16(4),
  u32(0),
  u32(0),
  u32(262144),
  u32(1),
  ...FRAMES.map(record),
);

export const pcap: Target = {
  name: "pcap",
  source: import.meta.file,
  seeds: [CAPTURE],
  words: [Uint8Array.of(0xd4, 0xc3, 0xb2, 0xa1), Uint8Array.of(0x4d, 0x3c, 0xb2, 0xa1), "\n\r\r\n"],
  run: (input) => {
    try {
      const { packets, rest } = readPcap(input);
      const total = packets.reduce((sum, { data }) => sum + data.byteLength + 16, 24 + rest.byteLength);
      must(total === input.byteLength, "every byte is in a packet or in the rest");
      for (const { data } of packets) dissect(data);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
    }
  },
};

export const dissector: Target = {
  name: "dissector",
  source: import.meta.file,
  seeds: FRAMES,
  words: [
    Uint8Array.of(0x81, 0),
    Uint8Array.of(0x88, 0xa8),
    Uint8Array.of(0x86, 0xdd),
    Uint8Array.of(0xc0, 0x0c),
    "\x45",
  ],
  run: (input) => {
    const found = dissect(input);
    must(found.payload.byteLength <= input.byteLength, "a payload is a part of its frame");
  },
};

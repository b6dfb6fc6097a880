import { describe, expect, test } from "bun:test";
import { readPcap } from "../../../src/packet/pcap.ts";
import { joined } from "./frames.ts";

const words = (little: boolean, ...values: number[]): Uint8Array => {
  const view = new DataView(new ArrayBuffer(values.length * 4));
  for (const [i, value] of values.entries()) view.setUint32(i * 4, value, little);
  return new Uint8Array(view.buffer);
};
const header = (magic: number, little: boolean, link = 1): Uint8Array =>
  words(little, magic, 0x00020004, 0, 0, 65535, link);
const frame = Uint8Array.from({ length: 20 }, (_, i) => i);

describe("readPcap", () => {
  test("both byte orders and both units of time", () => {
    for (const little of [true, false])
      for (const [magic, unit] of [
        [0xa1b2c3d4, 1000n],
        [0xa1b23c4d, 1n],
      ] as const) {
        const file = joined(header(magic, little), words(little, 1_700_000_000, 123_456, 20, 1500), frame);
        const { packets, rest } = readPcap(file);
        expect(packets).toEqual([
          { timeNs: 1_700_000_000_000_000_000n + 123_456n * unit, length: 1500, data: frame },
        ]);
        expect(rest.byteLength).toBe(0);
      }
  });

  test("what is still to come of a packet is left over", () => {
    const file = joined(
      header(0xa1b2c3d4, true),
      words(true, 1, 2, 20, 20),
      frame,
      words(true, 3, 4, 20, 20),
      [1, 2],
    );
    const { packets, rest } = readPcap(file);
    expect(packets.length).toBe(1);
    expect(rest).toEqual(file.subarray(24 + 36));
    expect(readPcap(header(0xa1b2c3d4, true))).toEqual({ packets: [], rest: new Uint8Array(0) });
  });

  test("what is no capture of Ethernet is named", () => {
    expect(() => readPcap(new Uint8Array(3))).toThrow("begins with 24 bytes, here are 3");
    expect(() => readPcap(words(false, 0x0a0d0d0a, 0, 0, 0, 0, 0))).toThrow(
      "no classic capture begins with 0a0d0d0a",
    );
    expect(() => readPcap(header(0xa1b2c3d4, true, 113))).toThrow("link type 113 is not Ethernet (1)");
    const broken = joined(header(0xa1b2c3d4, true), words(true, 1, 2, 0x7fffffff, 1));
    expect(() => readPcap(broken)).toThrow("packet 1 claims 2147483647 bytes");
  });
});

import { describe, expect, test } from "bun:test";
import { ProtocolError } from "../../../src/errors/errors.ts";
import { encodeFrame, FrameReader, pack, unpack } from "../../../src/events/frame.ts";

const bodies = (reader: FrameReader, ...chunks: Uint8Array[]): unknown[] => {
  const seen: unknown[] = [];
  for (const chunk of chunks) reader.push(chunk, (body) => seen.push(unpack(body)));
  return seen;
};

describe("frames", () => {
  test("a frame is its big-endian length and its body", () => {
    expect([...encodeFrame([1, "a"])]).toEqual([0, 0, 0, 4, 0x92, 1, 0xa1, 0x61]);
  });

  test("integers beyond 32 bits travel as msgpack integers", () => {
    expect(pack(2 ** 40)[0]).toBe(0xd3);
    expect(pack({ deep: [-(2 ** 40)] })[pack({ deep: [-(2 ** 40)] }).length - 9]).toBe(0xd3);
    expect(unpack(pack([2 ** 40, 2n ** 62n, -(2n ** 63n)]))).toEqual([2 ** 40, 2n ** 62n, -(2n ** 63n)]);
  });

  test("floats stay floats", () => {
    expect(unpack(pack([0.5, 1e300, -2.5]))).toEqual([0.5, 1e300, -2.5]);
  });

  test("undefined fields are left out", () => {
    expect(unpack(pack({ a: undefined, b: 1 }))).toEqual({ b: 1 });
  });

  test("bytes come back as bytes", () => {
    const bytes = Uint8Array.of(0, 255, 128);
    expect(unpack(new Uint8Array(pack({ bytes })))).toEqual({ bytes });
  });

  test("a reader puts frames together from any cut", () => {
    const stream = Buffer.concat([encodeFrame("one"), encodeFrame({ two: 2 }), encodeFrame([3])]);
    for (let size = 1; size <= stream.length; size++) {
      const chunks: Uint8Array[] = [];
      for (let at = 0; at < stream.length; at += size) chunks.push(stream.subarray(at, at + size));
      const reader = new FrameReader();
      expect(bodies(reader, ...chunks)).toEqual(["one", { two: 2 }, [3]]);
      expect(reader.atBoundary).toBe(true);
    }
  });

  test("an announced length beyond the limit is refused before memory is taken", () => {
    const reader = new FrameReader(1024);
    expect(() => bodies(reader, Uint8Array.of(0xff, 0xff, 0xff, 0xff))).toThrow(ProtocolError);
    expect(() => encodeFrame("x".repeat(2000), 1024)).toThrow("more than the 1024 allowed");
  });

  test("malformed msgpack is a protocol error", () => {
    expect(() => unpack(Uint8Array.of(0xdd, 0xff, 0xff, 0xff, 0xff))).toThrow(ProtocolError);
    expect(() => unpack(Uint8Array.of(0xc1))).toThrow(ProtocolError);
    expect(() => unpack(Uint8Array.of(1, 2))).toThrow(ProtocolError);
    expect(() => unpack(new Uint8Array(0))).toThrow(ProtocolError);
  });

  test("a key named __proto__ does not reach the prototype", () => {
    const value = unpack(pack(new Map([["__proto__", { admin: true }]]))) as Record<string, unknown>;
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect("admin" in value).toBe(false);
  });
});

import { describe, expect, test } from "bun:test";
import { Packr } from "msgpackr";
import { ProtocolError } from "../../../src/errors/errors.ts";
import { type Integer, Reader, Writer } from "../../../src/guest/msgpack.ts";

const other = new Packr({ useRecords: false, int64AsType: "bigint" });

const written = (put: (writer: Writer) => void): Uint8Array => {
  const writer = new Writer();
  put(writer);
  return Buffer.concat(writer.finish());
};

const INTEGERS: Integer[] = [
  0,
  1,
  127,
  128,
  255,
  256,
  65_535,
  65_536,
  2 ** 31,
  2 ** 32 - 1,
  2 ** 32,
  2 ** 53 - 1,
  -1,
  -32,
  -33,
  -128,
  -129,
  -32_768,
  -32_769,
  -(2 ** 31),
  -(2 ** 31) - 1,
  -(2 ** 53) + 1,
  2n ** 53n,
  2n ** 63n - 1n,
  -(2n ** 63n),
];

describe("integers", () => {
  test.each(INTEGERS)("%d survives the way there and back", (value) => {
    const body = written((writer) => writer.int(value));
    expect(new Reader(body).int()).toBe(value);
    expect(BigInt(other.unpack(body))).toBe(BigInt(value));
  });

  test.each(INTEGERS)("%d is read however another encoder writes it", (value) => {
    // It writes a number beyond 32 bits as a float, a bigint never.
    const given = Math.abs(Number(value)) < 2 ** 31 ? value : BigInt(value);
    expect(new Reader(other.pack(given)).int()).toBe(value);
  });

  test("an integer above 2^63 goes out as its two's complement", () => {
    const body = written((writer) => writer.int(2n ** 64n - 2n));
    expect(new Reader(body).int()).toBe(-2);
  });

  test.each([2n ** 64n, -(2n ** 63n) - 1n, 0.5, 2 ** 53, Number.NaN])("%d is refused", (value) => {
    expect(() => written((writer) => writer.int(value))).toThrow(RangeError);
  });

  test("an unsigned integer above 2^63 is no integer of the wire", () => {
    const body = Uint8Array.of(0xcf, 0x80, 0, 0, 0, 0, 0, 0, 0);
    expect(() => new Reader(body).int()).toThrow(ProtocolError);
  });
});

describe("byte strings", () => {
  test.each([0, 1, 31, 32, 255, 256, 16_383, 16_384, 70_000])("%d bytes survive", (size) => {
    const data = new Uint8Array(size).map((_, i) => i * 7);
    const body = written((writer) => writer.bytes(data));
    expect(new Uint8Array(new Reader(body).bytes())).toEqual(data);
    expect(new Uint8Array(other.unpack(body))).toEqual(data);
  });

  test("a large one is a part of its own, not a copy", () => {
    const data = new Uint8Array(20_000);
    const writer = new Writer();
    writer.int(1);
    writer.bytes(data);
    writer.int(2);
    const parts = writer.finish();
    expect(parts.length).toBe(3);
    expect(parts[1]).toBe(data);
  });

  test.each(["", "short", "x".repeat(200), "y".repeat(70_000)])("a str is taken for bytes", (text) => {
    const bytes = new Reader(other.pack(text)).bytes();
    expect(new TextDecoder().decode(bytes)).toBe(text);
  });
});

describe("what a guest must not send", () => {
  const cases: [string, number[], keyof Reader][] = [
    ["a map for an array", [0x81, 1, 2], "array"],
    ["an array that the frame cannot hold", [0xdd, 0xff, 0xff, 0xff, 0xff], "array"],
    ["a byte string that the frame cannot hold", [0xc6, 0xff, 0xff, 0xff, 0xff, 1], "bytes"],
    ["a float for an integer", [0xcb, 0, 0, 0, 0, 0, 0, 0, 0], "int"],
    ["half an integer", [0xd3, 0, 0], "int"],
    ["an extension for bytes", [0xd4, 1, 1], "bytes"],
    ["nil for a boolean", [0xc0], "bool"],
    ["nothing", [], "int"],
  ];
  test.each(cases)("%s is refused", (_, body, method) => {
    const reader = new Reader(Uint8Array.from(body));
    expect(() => reader[method]()).toThrow(ProtocolError);
  });
});

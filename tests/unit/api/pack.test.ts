import { describe, expect, test } from "bun:test";
import { isClassicFormat, packClassic, unpackClassic } from "../../../src/api/pack.ts";

describe("which grammar a format is in", () => {
  test("words of the classic grammar make a classic format", () => {
    expect(isClassicFormat("u8 u16 i16 u32 i32 u64 i64", false)).toBe(true);
    expect(isClassicFormat("u32", false)).toBe(true);
  });

  test("only i16 is ambiguous, and the dot decides", () => {
    expect(isClassicFormat("i16 i16", true)).toBe(true);
    expect(isClassicFormat("i16 i16", false)).toBe(false);
  });

  test("Lua's formats are left to Lua", () => {
    for (const format of ["<I4 I2", "z", "", "i4", "u32 z"])
      expect(isClassicFormat(format, true)).toBe(false);
  });
});

describe("the classic grammar", () => {
  test("values are little endian and come back as they were", () => {
    const values = [255n, 65535n, -2n, 4294967295n, -3n, -1n, -(2n ** 63n)];
    const format = "u8 u16 i16 u32 i32 u64 i64";
    const bytes = packClassic(format, values);
    expect(bytes.byteLength).toBe(1 + 2 + 2 + 4 + 4 + 8 + 8);
    expect([...packClassic("u32", [0x01020304])]).toEqual([4, 3, 2, 1]);
    expect(unpackClassic(format, bytes)).toEqual(values);
  });

  test("a value may be written signed or unsigned as long as its width holds it", () => {
    expect(packClassic("u32", [-1])).toEqual(packClassic("u32", [0xffffffff]));
    expect(() => packClassic("u8", [256])).toThrow("pack: value #1 does not fit u8: 256 is not in 0..255");
    expect(() => packClassic("i16", [-32769])).toThrow("-32768..32767");
  });

  test("too few values and short data name both numbers", () => {
    expect(() => packClassic("u8 u8", [1])).toThrow('format "u8 u8" takes 2 value(s), got 1');
    expect(() => unpackClassic("u32 u32", new Uint8Array(7))).toThrow("needs 8 bytes, got 7");
  });
});

/** Binary records in the classic grammar: "u32 u64 i16", little endian, one value a word. */

import { ApiError } from "../errors/errors.ts";
import type { Integer } from "../lab/ports.ts";

const WIDTHS: Readonly<Record<string, number>> = { u8: 1, u16: 2, i16: 2, u32: 4, i32: 4, u64: 8, i64: 8 };
const WORDS = Object.keys(WIDTHS);

const words = (format: string): string[] => format.split(/\s+/).filter((word) => word !== "");

/**
 * Whether a format is classic rather than one of Lua's `string.pack`. Lua rejects every classic word but `i16`,
 * which it reads as a 16-byte integer: only formats of `i16` alone are ambiguous, and there `dot` decides (a
 * call with a dot is classic, one with a colon Lua's).
 */
export const isClassicFormat = (format: string, dot: boolean): boolean => {
  const all = words(format);
  if (all.length === 0 || !all.every((word) => WORDS.includes(word))) return false;
  return dot || all.some((word) => word !== "i16");
};

const refuse = (call: string, text: string): never => {
  throw new ApiError(`${call}: ${text}`);
};

/** Bytes of `values`. A value may be written signed or unsigned, as long as its width holds it. */
export const packClassic = (format: string, values: readonly Integer[]): Uint8Array => {
  const all = words(format);
  if (values.length !== all.length)
    refuse("pack", `format "${format}" takes ${all.length} value(s), got ${values.length}`);
  const out = new Uint8Array(all.reduce((sum, word) => sum + (WIDTHS[word] as number), 0));
  let at = 0;
  for (const [i, word] of all.entries()) {
    const width = WIDTHS[word] as number;
    const bits = BigInt(8 * width);
    const value = BigInt(values[i] as Integer);
    if (width < 8 && (value < -(1n << (bits - 1n)) || value >= 1n << bits))
      refuse("pack", `value #${i + 1} does not fit ${word}: ${value} is not in ${range(word)}`);
    let rest = BigInt.asUintN(Number(bits), value);
    for (let byte = 0; byte < width; byte++) {
      out[at++] = Number(rest & 0xffn);
      rest >>= 8n;
    }
  }
  return out;
};

const range = (word: string): string => {
  const bits = BigInt(8 * (WIDTHS[word] as number));
  return word.startsWith("u")
    ? `0..${(1n << bits) - 1n}`
    : `${-(1n << (bits - 1n))}..${(1n << (bits - 1n)) - 1n}`;
};

/** One value for each word of the format. Bytes beyond the last are left alone. */
export const unpackClassic = (format: string, data: Uint8Array): bigint[] => {
  const all = words(format);
  const needed = all.reduce((sum, word) => sum + (WIDTHS[word] as number), 0);
  if (data.length < needed) refuse("unpack", `format "${format}" needs ${needed} bytes, got ${data.length}`);
  let at = 0;
  return all.map((word) => {
    const width = WIDTHS[word] as number;
    let value = 0n;
    for (let byte = width - 1; byte >= 0; byte--) value = (value << 8n) | BigInt(data[at + byte] as number);
    at += width;
    // A u64 beyond the largest Lua integer wraps, as every 64-bit value does in Lua.
    return word.startsWith("i") || width === 8 ? BigInt.asIntN(8 * width, value) : value;
  });
};

/** JSON that a guest prints, for `json.decode`: what JSON.parse makes of it, with integers as they are, or an `ApiError`. */

import { decode } from "../../../src/api/json.ts";
import { ApiError } from "../../../src/errors/errors.ts";
import { LuaFloat } from "../../../src/lua/values.ts";
import { must, type Target } from "../target.ts";

const REFUSED = Symbol("refused");

const attempt = (read: () => unknown): unknown => {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof ApiError || error instanceof SyntaxError)) throw error;
    return error.message.includes("too deep") ? undefined : REFUSED;
  }
};

/** The number that both stand for: integers of 64 bits wrap in Lua, where JSON.parse comes near. */
const sameNumber = (ours: unknown, theirs: number): boolean => {
  if (ours instanceof LuaFloat) return Object.is(ours.value, theirs);
  if (typeof ours !== "bigint") return ours === theirs;
  return Number(ours) === theirs || Number(BigInt.asUintN(64, ours)) === theirs;
};

const same = (ours: unknown, theirs: unknown): boolean => {
  if (typeof theirs === "number") return sameNumber(ours, theirs);
  if (Array.isArray(theirs))
    return Array.isArray(ours) && ours.length === theirs.length && theirs.every((it, i) => same(ours[i], it));
  if (typeof theirs !== "object" || theirs === null) return ours === theirs;
  const members = Object.entries(theirs).filter(([, value]) => value !== null);
  return (
    ours instanceof Map &&
    ours.size === members.length &&
    members.every(([key, value]) => same(ours.get(key), value))
  );
};

export const json: Target = {
  name: "json",
  source: import.meta.file,
  seeds: [
    `{"a": [1, -0, 2.5, 1e3, 18446744073709551615, -9223372036854775808], "b": {"c": null, "": "\\u00e9\\n"}}`,
    `[true, false, null, "\\ud83d\\ude00", [[]], {}, 1E400, 123456789012345678901234567890]`,
    `{"__proto__": {"x": 1}, "a": 1, "a": 2, "constructor": 3}`,
  ],
  words: [
    ...[
      "null",
      "true",
      '"',
      "{",
      "}",
      "[",
      "]",
      ",",
      ":",
      "-",
      "0",
      "1e",
      ".",
      "\\u",
      "\\ud800",
      "\\",
      "\ufeff",
    ],
    ...[
      '"__proto__"',
      '"toString"',
      "9007199254740993",
      "9223372036854775808",
      "-0.0",
      "\u2028",
      "\t",
      "NaN",
    ],
  ],
  run: (input) => {
    const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(input);
    const ours = attempt(() => decode(new TextEncoder().encode(text)));
    // Nested too deep: JSON.parse has no such limit.
    if (ours === undefined) return;
    const theirs = attempt(() => JSON.parse(text));
    must(
      ours === REFUSED ? theirs === REFUSED : same(ours, theirs),
      "what is JSON is read as JSON.parse reads it",
    );
  },
};

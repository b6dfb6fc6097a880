/**
 * The checks behind every argument and every field of an options table: from a Lua value to the JS type that a
 * binding needs, or the sentence that says what was expected.
 */

import { describe, floatText } from "./describe.ts";
import { toBytes, toText } from "./engine.ts";
import { LuaFloat, type LuaInteger, LuaRef, type LuaValue } from "./values.ts";

/** Raises for a value that does not fit; the caller knows argument number and function. */
export type Refuse = (text: string) => never;

const INTEGER_TEXT = /^\s*([-+]?)(0[xX][0-9a-fA-F]+|\d+)\s*$/;

const exact = (value: bigint): LuaInteger => {
  const wrapped = BigInt.asIntN(64, value);
  const small = Number(wrapped);
  return Number.isSafeInteger(small) ? small : wrapped;
};

const got = (expected: string, value: LuaValue): string => `${expected} expected, got ${describe(value)}`;

/** Bytes of a string; numbers are turned into their text, as Lua's own functions do. */
export const wantBytes = (value: LuaValue, refuse: Refuse): Uint8Array => {
  if (value instanceof Uint8Array) return value;
  if (typeof value === "number" || typeof value === "bigint") return toBytes(numberText(value));
  if (value instanceof LuaFloat) return toBytes(floatText(value.value));
  return refuse(got("string", value));
};

const numberText = (value: number | bigint): string =>
  typeof value === "number" ? floatless(value) : String(value);
const floatless = (value: number): string => (Number.isInteger(value) ? String(value) : floatText(value));

export const wantText = (value: LuaValue, refuse: Refuse): string => toText(wantBytes(value, refuse));

export const wantInteger = (value: LuaValue, refuse: Refuse): LuaInteger => {
  if (typeof value === "bigint") return value;
  if (typeof value === "number")
    return Number.isInteger(value) ? value : refuse(`number ${value} has no integer representation`);
  if (value instanceof LuaFloat) {
    if (Math.abs(value.value) < 2 ** 63) return exact(BigInt(value.value));
    return refuse(`number ${floatText(value.value)} has no integer representation`);
  }
  if (value instanceof Uint8Array && value.length < 32) {
    const match = INTEGER_TEXT.exec(toText(value));
    if (match !== null)
      return exact(match[1] === "-" ? -BigInt(match[2] as string) : BigInt(match[2] as string));
  }
  return refuse(got("integer", value));
};

/** A non-negative integer that fits a JS number. */
export const wantCount = (value: LuaValue, refuse: Refuse): number => {
  const integer = wantInteger(value, refuse);
  if (typeof integer === "number" && integer >= 0) return integer;
  if (integer > 0) return refuse(`integer up to ${Number.MAX_SAFE_INTEGER} expected, got number ${integer}`);
  return refuse(`non-negative integer expected, got number ${integer}`);
};

export const wantNumber = (value: LuaValue, refuse: Refuse): number => {
  if (typeof value === "number") return value;
  if (typeof value === "bigint") return Number(value);
  if (value instanceof LuaFloat) return value.value;
  if (value instanceof Uint8Array && value.length < 64) {
    const text = toText(value).trim();
    const number = text === "" ? Number.NaN : Number(text);
    if (!Number.isNaN(number)) return number;
  }
  return refuse(got("number", value));
};

export const wantBoolean = (value: LuaValue, refuse: Refuse): boolean =>
  typeof value === "boolean" ? value : refuse(got("boolean", value));

export const wantOneOf = <T extends string>(allowed: readonly T[], value: LuaValue, refuse: Refuse): T => {
  const text = wantText(value, refuse);
  const found = allowed.find((word) => word === text);
  return (
    found ?? refuse(`invalid value '${text}' (allowed: ${allowed.map((word) => `'${word}'`).join(", ")})`)
  );
};

/** What was received, where a reference is expected to be of one Lua type. */
export const wantRef = <T extends LuaRef>(
  kind: new (...args: never[]) => T,
  name: string,
  value: LuaValue,
  refuse: Refuse,
): T => (value instanceof kind ? value : refuse(got(name, value)));

/** An instance of a defined class. */
export const wantObject = <T extends object>(
  of: abstract new (...args: never[]) => T,
  name: string,
  value: LuaValue,
  refuse: Refuse,
): T => {
  if (value instanceof of && !(value instanceof LuaRef)) return value;
  return refuse(got(name, value));
};

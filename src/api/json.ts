/**
 * The global `json`: 64-bit integers stay exact, which JSON.parse cannot do.
 *
 * An empty table encodes as `[]`: all of its keys are positive integers. NaN and the infinities have no JSON
 * form and are refused. A float keeps its point (`2.0`), so that it comes back as a float.
 */

import { parse } from "lossless-json";
import { ApiError } from "../errors/errors.ts";
import { describe } from "../lua/describe.ts";
import { fn } from "../lua/native.ts";
import { LuaTable } from "../lua/table.ts";
import { LuaFloat, type LuaValue, luaFloat } from "../lua/values.ts";

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const DEEPEST = 200;
/** Longest run of absent elements that still looks like an array with gaps. */
const MOST_GAPS = 1_000_000;

const text = (bytes: Uint8Array, call: string): string => {
  try {
    return strict.decode(bytes);
  } catch {
    throw new ApiError(`${call}: the string is not valid UTF-8`, {
      hint: "Binary data has no JSON form; encode it as hexadecimal or base64 first.",
    });
  }
};

const integerKey = (key: LuaValue): number | undefined => {
  if (typeof key === "bigint") return Number(key);
  return typeof key === "number" && Number.isInteger(key) ? key : undefined;
};

const keyText = (key: LuaValue): string => {
  if (key instanceof Uint8Array) return text(key, "json.encode");
  if ((typeof key === "number" && Number.isInteger(key)) || typeof key === "bigint") return String(key);
  throw new ApiError(`json.encode: a key must be a string or an integer, got ${describe(key)}`);
};

const encodeFloat = (value: number): string => {
  if (!Number.isFinite(value)) throw new ApiError("json.encode: NaN and infinity have no JSON form");
  if (Object.is(value, -0)) return "-0.0";
  const digits = String(value);
  return /^-?\d+$/.test(digits) ? `${digits}.0` : digits;
};

const encodeTable = (table: LuaTable, depth: number): string => {
  if (depth === DEEPEST)
    throw new ApiError(
      `json.encode: tables nested more than ${DEEPEST} deep, or a table that contains itself`,
    );
  const entries = table.entries();
  const indices = entries.map(([key]) => integerKey(key));
  if (!indices.every((index) => index !== undefined && index > 0)) {
    const members = new Map<string, string>();
    for (const [key, value] of entries) {
      const name = keyText(key);
      if (members.has(name))
        throw new ApiError(
          `json.encode: the keys ${name} and "${name}" of one table have the same JSON form`,
        );
      members.set(name, `${JSON.stringify(name)}:${encode(value, depth + 1)}`);
    }
    return `{${[...members.values()].join(",")}}`;
  }
  const length = indices.reduce((most: number, index) => Math.max(most, index ?? 0), 0);
  if (length - entries.length > MOST_GAPS)
    throw new ApiError(
      `json.encode: an array of length ${length} with only ${entries.length} elements; use string keys for an object`,
    );
  const items = new Array<string>(length).fill("null");
  for (const [i, [, value]] of entries.entries())
    items[(indices[i] as number) - 1] = encode(value, depth + 1);
  return `[${items.join(",")}]`;
};

/** JSON text of a Lua value. */
export const encode = (value: LuaValue, depth = 0): string => {
  if (value === undefined) return "null";
  if (typeof value === "boolean" || typeof value === "bigint") return String(value);
  if (typeof value === "number") return Number.isInteger(value) ? String(value) : encodeFloat(value);
  if (value instanceof LuaFloat) return encodeFloat(value.value);
  if (value instanceof Uint8Array) return JSON.stringify(text(value, "json.encode"));
  if (value instanceof LuaTable) return encodeTable(value, depth);
  const kind = "type" in value && typeof value.type === "string" ? value.type : "userdata";
  throw new ApiError(`json.encode: a ${kind} has no JSON form`);
};

const number = (digits: string): number | bigint | LuaFloat => {
  if (/^-?\d+$/.test(digits)) {
    const exact = BigInt(digits);
    // Up to 2^64 - 1 wrap, beyond that only a float can come near.
    if (exact >= -(2n ** 63n) && exact < 2n ** 64n) return BigInt.asIntN(64, exact);
  }
  return luaFloat(Number(digits));
};

/** Objects become tables without the keys whose value is null. */
const toLua = (value: unknown): unknown => {
  if (typeof value !== "object" || value === null || value instanceof LuaFloat) return value;
  if (Array.isArray(value)) return value.map(toLua);
  return new Map(
    Object.entries(value)
      .filter(([, item]) => item !== null)
      .map(([key, item]) => [key, toLua(item)]),
  );
};

/** Parses JSON into what the door makes Lua values of. `call` names the caller in errors. */
export const decode = (bytes: Uint8Array, call = "json.decode"): unknown => {
  const source = text(bytes, call);
  try {
    return toLua(parse(source, null, { parseNumber: number, onDuplicateKey: ({ newValue }) => newValue }));
  } catch (error) {
    if (error instanceof RangeError) throw new ApiError(`${call}: nested too deep`);
    if (error instanceof SyntaxError) throw new ApiError(`${call}: ${error.message}`);
    throw error;
  }
};

/** The members of the global table `json`. */
export const JSON_FUNCTIONS = {
  encode: fn(
    "json.encode",
    "(value: any): string",
    "JSON text of a value. A table whose keys are all positive integers (an empty one too) is an array, any other an object.",
    (args) => encode(args.any(1)),
  ),
  decode: fn(
    "json.decode",
    "(text: string): any",
    "The value of a JSON text. Integers keep 64 bits; null is nil, so it leaves no key in an object and a hole in an array.",
    (args) => decode(args.bytes(1, "text")),
  ),
};

/** Lua values as plain JS data: for metadata, events and whatever else leaves the state. */

import { ApiError } from "../errors/errors.ts";
import { describe } from "./describe.ts";
import { LuaTable } from "./table.ts";
import { LuaFloat, type LuaValue } from "./values.ts";

export type Plain =
  | undefined
  | boolean
  | number
  | bigint
  | LuaFloat
  | Uint8Array
  | readonly Plain[]
  | PlainMap;
export interface PlainMap extends ReadonlyMap<Plain, Plain> {}

const DEEPEST = 100;

/**
 * Tables with keys 1..n (n > 0) become arrays, all others Maps. Raises for functions, userdata, threads and
 * cycles; `label` is what the message calls the value.
 */
export const plain = (value: LuaValue, label: string, depth = 0): Plain => {
  if (
    value === undefined ||
    typeof value === "boolean" ||
    typeof value === "number" ||
    typeof value === "bigint" ||
    value instanceof LuaFloat ||
    value instanceof Uint8Array
  )
    return value;
  if (!(value instanceof LuaTable))
    throw new ApiError(`${label}: a ${describe(value)} cannot be stored as data`);
  if (depth === DEEPEST) throw new ApiError(`${label}: tables nested more than ${DEEPEST} deep, or a cycle`);
  const entries = value.entries();
  const length = value.length;
  if (length > 0 && entries.length === length)
    return value.items().map((item, i) => plain(item, `${label}[${i + 1}]`, depth + 1));
  return new Map(
    entries.map(([key, item]) => {
      const name = key instanceof Uint8Array ? `${label}.${new TextDecoder().decode(key)}` : `${label}[…]`;
      return [plain(key, `a key of ${label}`, depth + 1), plain(item, name, depth + 1)];
    }),
  );
};

/** A test's metadata table as the events carry it. */

import type { Meta, MetaValue } from "../events/types.ts";
import { type Plain, plain } from "../lua/deep.ts";
import type { LuaTable } from "../lua/table.ts";
import { LuaFloat } from "../lua/values.ts";

const strict = new TextDecoder("utf-8", { fatal: true });

/** Text where the bytes are UTF-8, else the bytes: they never turn into other text. */
const textOrBytes = (bytes: Uint8Array): string | Uint8Array => {
  try {
    return strict.decode(bytes);
  } catch {
    return bytes;
  }
};

const keyOf = (key: Plain): string =>
  key instanceof Uint8Array
    ? new TextDecoder().decode(key)
    : String(key instanceof LuaFloat ? key.value : key);

const metaValue = (value: Plain): MetaValue => {
  if (value === undefined) return null;
  if (value instanceof LuaFloat) return value.value;
  if (value instanceof Uint8Array) return textOrBytes(value);
  if (value instanceof Map) return record(value);
  return Array.isArray(value) ? value.map(metaValue) : (value as MetaValue);
};

const record = (map: ReadonlyMap<Plain, Plain>): { [key: string]: MetaValue } =>
  Object.fromEntries(
    [...map]
      .map(([key, value]) => [keyOf(key), metaValue(value)] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );

/** Raises `ApiError` for values that are no data. Keys come sorted. */
export const metaOf = (table: LuaTable | undefined): Meta => {
  if (table === undefined) return {};
  const value = plain(table, "meta");
  if (Array.isArray(value))
    return Object.fromEntries(value.map((item, i) => [String(i + 1), metaValue(item)]));
  return record(value as ReadonlyMap<Plain, Plain>);
};

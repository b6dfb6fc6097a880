/** Values as a failed comparison shows them. */

import { floatText, quote } from "./describe.ts";
import { toText } from "./engine.ts";
import { LuaTable } from "./table.ts";
import { LuaFloat, type LuaValue } from "./values.ts";

const LONGEST_TEXT = 400;
const MOST_ENTRIES = 16;
const DEEPEST = 3;
const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Texts that can be told from the words around them need no quotes. */
const plainText = (bytes: Uint8Array): boolean => {
  if (bytes.length === 0 || bytes.length > LONGEST_TEXT) return false;
  const text = toText(bytes);
  return text.trim() === text && !/[\p{Cc}�]/u.test(text);
};

const keyText = (key: LuaValue, text: (value: LuaValue) => string): string => {
  if (key instanceof Uint8Array) return NAME.test(toText(key)) ? toText(key) : `[${quote(key)}]`;
  return `[${inner(key, text, DEEPEST)}]`;
};

const tableText = (table: LuaTable, text: (value: LuaValue) => string, depth: number): string => {
  if (depth >= DEEPEST) return "{...}";
  const length = table.length;
  const isItem = (key: LuaValue): boolean => typeof key === "number" && key >= 1 && key <= length;
  const items = table
    .items()
    .slice(0, MOST_ENTRIES)
    .map((item) => inner(item, text, depth + 1));
  const fields = table
    .entries()
    .filter(([key]) => !isItem(key))
    .map(([key, value]) => `${keyText(key, text)} = ${inner(value, text, depth + 1)}`)
    .sort();
  const shown = [...items, ...fields].slice(0, MOST_ENTRIES);
  return `{${shown.join(", ")}${length + fields.length > shown.length ? ", ..." : ""}}`;
};

const inner = (value: LuaValue, text: (value: LuaValue) => string, depth: number): string => {
  if (value instanceof Uint8Array) return quote(value, LONGEST_TEXT);
  if (value instanceof LuaFloat) return floatText(value.value);
  if (value instanceof LuaTable && !value.hasMetatable) return tableText(value, text, depth);
  return text(value);
};

const typeOf = (value: LuaValue): string => {
  if (value instanceof Uint8Array) return "string";
  if (value instanceof LuaFloat || typeof value === "bigint") return "number";
  return typeof value;
};

/**
 * Two values that were compared. Short texts stand without quotes, as tests write them; as soon as that could
 * mislead (1 and "1", an empty text, a space at the end) both get quotes. `text` is Lua's tostring.
 */
export const showPair = (a: LuaValue, b: LuaValue, text: (value: LuaValue) => string): [string, string] => {
  const quotes = typeOf(a) !== typeOf(b) || [a, b].some((it) => it instanceof Uint8Array && !plainText(it));
  const one = (value: LuaValue): string =>
    value instanceof Uint8Array && !quotes ? toText(value) : inner(value, text, 0);
  return [one(a), one(b)];
};

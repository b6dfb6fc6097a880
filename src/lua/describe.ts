/** Values in messages: what was received, short and unmistakable. */

import { toText } from "./engine.ts";
import { nameOf } from "./names.ts";
import { LuaFloat, LuaRef, type LuaValue } from "./values.ts";

const LONGEST_QUOTE = 60;

/** Bytes as a quoted one-line text, shortened; bytes that do not print are escaped as Lua would write them. */
export const quote = (bytes: Uint8Array, longest: number = LONGEST_QUOTE): string => {
  const head = bytes.subarray(0, longest);
  const text = toText(head);
  const printable = text.includes("�")
    ? Array.from(head, (byte) => String.fromCharCode(byte)).join("")
    : text;
  let out = "";
  for (const char of printable) {
    const code = char.codePointAt(0) as number;
    if (char === '"' || char === "\\") out += `\\${char}`;
    else if (char === "\n") out += "\\n";
    else if (char === "\r") out += "\\r";
    else if (char === "\t") out += "\\t";
    else if (code < 32 || code === 127 || (printable !== text && code > 126))
      out += `\\x${code.toString(16).padStart(2, "0")}`;
    else out += char;
  }
  return bytes.length > longest ? `"${out}"... (${bytes.length} bytes)` : `"${out}"`;
};

/** A float as Lua prints it: always with a sign that it is one. */
export const floatText = (value: number): string => {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  const text = Object.is(value, -0) ? "-0" : String(value);
  return /^-?\d+$/.test(text) ? `${text}.0` : text;
};

/** "number 5", "string \"abc\"", "nil", "table", "vm": for "expected X, got …". */
export const describe = (value: LuaValue): string => {
  if (value === undefined) return "nil";
  if (typeof value === "boolean") return `boolean ${value}`;
  if (typeof value === "number" || typeof value === "bigint") return `number ${value}`;
  if (value instanceof LuaFloat) return `number ${floatText(value.value)}`;
  if (value instanceof Uint8Array) return `string ${quote(value)}`;
  if (value instanceof LuaRef) return value.type;
  return nameOf(value) ?? "userdata";
};

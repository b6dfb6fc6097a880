/** Values over several lines, as a comparison line by line needs them. Bounded in every direction. */

import { floatText, quote } from "./describe.ts";
import { toText } from "./engine.ts";
import { LuaTable } from "./table.ts";
import { LuaFloat, type LuaValue } from "./values.ts";

const LONGEST_TEXT = 16 * 1024;
const MOST_LINES = 400;
const DEEPEST = 8;
const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

class Printer {
  readonly lines: string[] = [];
  private readonly open: LuaTable[] = [];

  constructor(private readonly text: (value: LuaValue) => string) {}

  /** Adds a value whose first line begins with `lead` and whose last ends with `tail`. */
  add(value: LuaValue, lead: string, tail: string): void {
    if (!(value instanceof LuaTable) || value.hasMetatable) this.say(lead + this.scalar(value) + tail);
    else if (this.open.length >= DEEPEST) this.say(`${lead}{...}${tail}`);
    else this.table(value, lead, tail);
  }

  private table(table: LuaTable, lead: string, tail: string): void {
    const { length } = table;
    const isItem = (key: LuaValue): boolean => typeof key === "number" && key >= 1 && key <= length;
    const fields = table
      .entries()
      .filter(([key]) => !isItem(key))
      .map(([key, value]): [string, LuaValue] => [this.key(key), value])
      .sort(([a], [b]) => (a < b ? -1 : 1));
    if (length === 0 && fields.length === 0) {
      this.say(`${lead}{}${tail}`);
      return;
    }
    const margin = "  ".repeat(this.open.length + 1);
    this.say(`${lead}{`);
    this.open.push(table);
    for (const item of table.items()) {
      if (this.full) break;
      this.add(item, margin, ",");
    }
    for (const [key, value] of fields) {
      if (this.full) break;
      this.add(value, `${margin}${key} = `, ",");
    }
    this.open.pop();
    this.say(`${"  ".repeat(this.open.length)}}${tail}`);
  }

  private get full(): boolean {
    if (this.lines.length < MOST_LINES) return false;
    if (this.lines.at(-1) !== "...") this.lines.push("...");
    return true;
  }

  private say(line: string): void {
    this.lines.push(line);
  }

  private key(key: LuaValue): string {
    if (key instanceof Uint8Array && NAME.test(toText(key))) return toText(key);
    return `[${this.scalar(key)}]`;
  }

  private scalar(value: LuaValue): string {
    if (value instanceof Uint8Array) return quote(value, LONGEST_TEXT);
    return value instanceof LuaFloat ? floatText(value.value) : this.text(value);
  }
}

/** Text as it stands where it has lines and nothing that does not print. */
const asLines = (bytes: Uint8Array): string | undefined => {
  const text = toText(bytes.subarray(0, LONGEST_TEXT));
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this is about
  return text.includes("\n") && !/[\u0000-\u0008\u000b-\u001f\u007f\ufffd]/.test(text) ? text : undefined;
};

/** Several lines of Lua; `text` is Lua's tostring. */
export const pretty = (value: LuaValue, text: (value: LuaValue) => string): string => {
  const printer = new Printer(text);
  printer.add(value, "", "");
  return printer.lines.join("\n");
};

/** Two values to be compared line by line; two texts stand as they are. */
export const prettyPair = (
  a: LuaValue,
  b: LuaValue,
  text: (value: LuaValue) => string,
): readonly [string, string] => {
  if (a instanceof Uint8Array && b instanceof Uint8Array) {
    const [left, right] = [asLines(a), asLines(b)];
    if (left !== undefined && right !== undefined) return [left, right];
  }
  return [pretty(a, text), pretty(b, text)];
};

/** Lua values as the model's parsers want them. */

import { ApiError } from "../errors/errors.ts";
import type { OptionTable, OptionValue } from "../lab/options.ts";
import type { Integer } from "../lab/ports.ts";
import { type DurationRules, described, duration } from "../lab/quantities.ts";
import type { Args } from "../lua/args.ts";
import { LuaTable } from "../lua/table.ts";
import { LuaFloat, type LuaValue } from "../lua/values.ts";
import { wantInteger } from "../lua/want.ts";

const decoder = new TextDecoder();
const DEEPEST = 16;

/** A float as the number that it is; everything else as it is. */
export const unwrapped = (value: LuaValue): Exclude<LuaValue, LuaFloat> =>
  value instanceof LuaFloat ? value.value : (value as Exclude<LuaValue, LuaFloat>);

const optionValue = (value: LuaValue, depth: number): OptionValue =>
  value instanceof LuaTable ? optionTable(value, depth + 1) : (unwrapped(value) as OptionValue);

/** A table as a map: integer keys in ascending order, then text keys. */
export const optionTable = (table: LuaTable, depth = 0): OptionTable => {
  if (depth === DEEPEST) throw new ApiError(`${table.label}: tables nested more than ${DEEPEST} deep`);
  const indexed: [number, OptionValue][] = [];
  const named: [string, OptionValue][] = [];
  for (const [key, value] of table.entries()) {
    if (typeof key === "number") indexed.push([key, optionValue(value, depth)]);
    else if (key instanceof Uint8Array) named.push([decoder.decode(key), optionValue(value, depth)]);
    else
      throw new ApiError(
        `${table.label}: a key must be a string or an integer, got ${described(unwrapped(key))}`,
      );
  }
  indexed.sort(([a], [b]) => a - b);
  return new Map<string | number, OptionValue>([...indexed, ...named]);
};

/** Milliseconds of a duration argument. `what` is how messages call it: "console:expect: timeout". */
export const durationMs = (value: LuaValue, what: string, rules: DurationRules = {}): number =>
  duration(unwrapped(value), what, rules);

/** Milliseconds of an optional duration argument. */
export const optDurationMs = (
  value: LuaValue,
  what: string,
  rules: DurationRules = {},
): number | undefined => (value === undefined ? undefined : durationMs(value, what, rules));

/** An integer, or the error that names its place and what was there: "syscall: args[3] must be an integer, got string". */
export const integerValue = (value: LuaValue, what: string): Integer =>
  wantInteger(value, () => {
    const plain = unwrapped(value);
    const got = typeof plain === "number" ? `number ${plain}` : described(plain).split(" ", 1)[0];
    throw new ApiError(`${what} must be an integer, got ${got}`);
  });

/** The integers from argument `first` on; errors count them from 1. */
export const integers = (args: Args, first: number): Integer[] => {
  const values: Integer[] = [];
  for (let i = first; i <= args.length; i++)
    values.push(integerValue(args.any(i), `${args.callee}: args[${i - first + 1}]`));
  return values;
};

/** The strings of a sequence. */
export const byteStrings = (table: LuaTable): Uint8Array[] =>
  Array.from({ length: table.listLength() }, (_, i) => table.bytes(i + 1));

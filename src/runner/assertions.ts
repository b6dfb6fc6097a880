/** The global assertions. `assert` stays Lua's own: it returns its arguments and raises its message unchanged. */

import type { Args } from "../lua/args.ts";
import { quote } from "../lua/describe.ts";
import { fn } from "../lua/native.ts";
import { showPair } from "../lua/show.ts";
import type { LuaState } from "../lua/state.ts";
import { LuaTable } from "../lua/table.ts";
import type { LuaValue } from "../lua/values.ts";
import { AssertionError, compared } from "./assertion-error.ts";
import { containsBytes } from "./context.ts";

const DEEPEST = 100;

/** Same content of plain tables; everything else as `==` says. */
const same = (state: LuaState, a: LuaValue, b: LuaValue, depth = 0): boolean => {
  if (state.equal(a, b)) return true;
  if (depth === DEEPEST || !(a instanceof LuaTable && b instanceof LuaTable)) return false;
  if (a.hasMetatable || b.hasMetatable) return false;
  const left = a.entries();
  return (
    left.length === b.entries().length &&
    left.every(([key, value]) => same(state, value, b.get(key), depth + 1))
  );
};

const withMessage = (state: LuaState, args: Args, i: number, text: string): string =>
  args.absent(i) ? text : `${state.textOf(args.any(i))}: ${text}`;

/** A text, also that of an object which has one. The name that Lua gives to any other table is nobody's text. */
const searched = (state: LuaState, args: Args, i: number): Uint8Array => {
  const value = args.any(i);
  if (value instanceof LuaTable && state.metatableOf(value)?.has("__tostring"))
    return new TextEncoder().encode(state.textOf(value));
  return args.bytes(i);
};

/** The functions by name, for one state. */
export const globalAssertions = (state: LuaState) => ({
  assert_eq: fn(
    "assert_eq",
    "(expected: any, actual: any, msg?: string)",
    "Raises unless both are equal; plain tables are compared by content.",
    (args) => {
      const [a, b] = [args.any(1), args.any(2)];
      if (same(state, a, b)) return;
      const text = (value: LuaValue): string => state.textOf(value);
      const [left, right] = showPair(a, b, text);
      throw new AssertionError(
        withMessage(state, args, 3, `assert_eq: ${left} ~= ${right}`),
        compared(["expected", "actual"], [a, b], text),
      );
    },
  ),
  assert_contains: fn(
    "assert_contains",
    "(haystack: string, needle: string, msg?: string)",
    "Raises unless `needle` occurs in `haystack` as it is (no pattern).",
    (args) => {
      const [haystack, needle] = [searched(state, args, 1), searched(state, args, 2)];
      if (containsBytes(haystack, needle)) return;
      const text = `assert_contains: ${quote(haystack, 400)} does not contain ${quote(needle, 400)}`;
      throw new AssertionError(withMessage(state, args, 3, text));
    },
  ),
});

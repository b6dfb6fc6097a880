/** The global assertions. `assert` stays Lua's own: it returns its arguments and raises its message unchanged. */

import type { Args } from "../lua/args.ts";
import { describe, quote } from "../lua/describe.ts";
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
      const [haystack, needle] = [args.any(1), args.any(2)];
      if (haystack === undefined || needle === undefined)
        args.fail(haystack === undefined ? 1 : 2, `string expected, got ${describe(undefined)}`);
      const bytes = (value: LuaValue): Uint8Array =>
        value instanceof Uint8Array ? value : new TextEncoder().encode(state.textOf(value));
      if (containsBytes(bytes(haystack), bytes(needle))) return;
      const text = `assert_contains: ${quote(bytes(haystack), 400)} does not contain ${quote(bytes(needle), 400)}`;
      throw new AssertionError(withMessage(state, args, 3, text));
    },
  ),
});

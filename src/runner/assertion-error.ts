/** A failed assertion: an expected end of a test, whose text is the whole story. */

import { ProviumError } from "../errors/errors.ts";
import type { Comparison } from "../events/types.ts";
import { prettyPair } from "../lua/pretty.ts";
import type { LuaValue } from "../lua/values.ts";

export class AssertionError extends ProviumError {
  constructor(
    text: string,
    /** The two values, made only when somebody reports them: a loop may catch a thousand of these. */
    readonly comparison?: () => Comparison,
  ) {
    super(text);
  }
}

/** Two values with what the assertion calls them; `text` is Lua's tostring. */
export const compared = (
  names: readonly [string, string],
  values: readonly [LuaValue, LuaValue],
  text: (value: LuaValue) => string,
): (() => Comparison) => {
  return () => {
    const [left, right] = prettyPair(values[0], values[1], text);
    return { left_name: names[0], left, right_name: names[1], right };
  };
};

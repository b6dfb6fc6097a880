/**
 * Errors on their way through Lua.
 *
 * In Lua every error of ours is a plain string "file:line: message". What the string came from is kept aside
 * (`cause`), so that reports can show hint and structure although the test only ever saw text.
 */

import type { InterruptedError } from "../errors/errors.ts";
import type { Frame } from "./trace.ts";
import type { LuaRef, LuaValue } from "./values.ts";

/** A Lua error that has arrived on the JS side. */
export class LuaError extends Error {
  constructor(
    /** The error value as text. */
    message: string,
    /** The error value itself. */
    readonly value: LuaValue | LuaRef,
    /** Where Lua was, innermost first. */
    readonly frames: readonly Frame[],
    /** The JS error behind it, when a binding raised it. */
    cause: unknown,
  ) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "LuaError";
  }
}

/**
 * Ends everything up to the host's own call: no pcall, no coroutine and no __close sees it. fengari looks for
 * the mark.
 */
export class LuaAbort extends Error {
  readonly luaUncatchable = true;

  constructor(
    readonly reason: InterruptedError,
    /** Where Lua was when the reason came up. */
    readonly frames: readonly Frame[],
  ) {
    super(reason.message);
    this.name = "LuaAbort";
  }
}

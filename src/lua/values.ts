/**
 * What crosses the door, seen from the JS side.
 *
 * To Lua (`push`): undefined and null are nil; a number is an integer when it is a safe integer (and not -0),
 * else a float; a bigint is an integer, wrapped to 64 bits; a string goes as UTF-8; a Uint8Array as the bytes
 * themselves, without a copy; arrays, Maps and plain objects become new tables; instances of a defined class
 * become userdata, always the same one for the same instance; a `LuaRef` is the Lua value it stands for.
 *
 * From Lua (`LuaValue`): nil is undefined; integers are numbers while safe and bigints beyond; a float with an
 * integral value comes wrapped as `LuaFloat`, because 1.0 and 1 are different values to Lua; strings are the
 * internal bytes, not to be changed; everything else is an instance of ours or a `LuaRef`.
 */

import type { Op } from "../sys/op.ts";
import type { Anchor, Thread } from "./engine.ts";

/** A Lua integer: a number while it is safe, else a bigint. */
export type LuaInteger = number | bigint;

/** A float whose value is integral, so that its JS number alone would be taken for an integer. */
export class LuaFloat {
  constructor(readonly value: number) {}
}

/** Forces a float: `luaFloat(1)` is 1.0 in Lua. */
export const luaFloat = (value: number): LuaFloat => new LuaFloat(value);

/** Several results of one call. */
export class Results {
  constructor(readonly values: readonly unknown[]) {}
}

/** Returns several values from a binding. */
export const results = (...values: unknown[]): Results => new Results(values);

/** A Lua value held from JS: alive as long as this object is. */
export class LuaRef {
  /** @param type the Lua type's name, as `type()` says it. */
  constructor(
    readonly heap: Heap,
    readonly anchor: Anchor,
    readonly type: string,
  ) {}
}

/** What Lua gave us; see the head of this file. `object` is an instance of a defined class. */
export type LuaValue = undefined | boolean | number | bigint | LuaFloat | Uint8Array | LuaRef | object;

/** What references need from the state that they belong to. */
export interface Heap {
  /** The thread that runs now. */
  readonly thread: Thread;
  /** Whether the running thread is one that yields its waits. */
  readonly inTask: boolean;
  push(L: Thread, value: unknown): void;
  value(L: Thread, index: number): LuaValue;
  /**
   * Calls the function below `args` arguments on the stack. Leaves the results there and returns their count;
   * throws `LuaError` for a Lua error.
   */
  call(L: Thread, args: number): number;
  /** Runs a function as a coroutine that yields where the host has to wait. */
  run(fn: LuaRef, args: readonly unknown[]): Op<LuaValue[]>;
}

/** Lua truth: everything but nil and false. */
export const truthy = (value: LuaValue): boolean => value !== undefined && value !== false;

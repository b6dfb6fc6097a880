/** A Lua function held from JS. */

import type { Op } from "../sys/op.ts";
import { lua } from "./engine.ts";
import { LuaRef, type LuaValue } from "./values.ts";

export class LuaFunction extends LuaRef {
  /**
   * Calls it and returns all results. Throws `LuaError` with the traceback for a Lua error. Host calls that it
   * makes block; inside an operation prefer `run`.
   */
  call(...args: readonly unknown[]): LuaValue[] {
    const L = this.heap.thread;
    const top = lua.lua_gettop(L);
    lua.lua_checkstack(L, args.length + 6);
    this.anchor(L);
    for (const arg of args) this.heap.push(L, arg);
    try {
      const count = this.heap.call(L, args.length);
      return Array.from({ length: count }, (_, i) => this.heap.value(L, top + 1 + i));
    } finally {
      lua.lua_settop(L, top);
    }
  }

  /** As `run` inside a task, where others should go on meanwhile; else as `call`, on the caller's own thread. */
  *invoke(...args: readonly unknown[]): Op<LuaValue[]> {
    return this.heap.inTask ? yield* this.run(...args) : this.call(...args);
  }

  /** Calls it as a coroutine of its own, so that host calls in it let other tasks go on. */
  run(...args: readonly unknown[]): Op<LuaValue[]> {
    return this.heap.run(this, args);
  }
}

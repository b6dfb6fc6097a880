/**
 * A Lua function as an operation: a coroutine whose host calls yield their waits to whoever drives it.
 */

import type { Op, Wait } from "../sys/op.ts";
import { type Continuation, lua, type Thread } from "./engine.ts";
import type { LuaRef, LuaValue } from "./values.ts";

/** What a binding and the driver of its coroutine say to each other across the yield. */
interface Strand {
  /** Set by the binding before it yields. Undefined: the test's own coroutine.yield(). */
  wait: Wait | undefined;
  /** The driver's answer: did the condition hold? */
  ready: boolean;
  /** Or the driver's order to give up. */
  interruption: unknown;
}

interface Suspended {
  readonly op: Op<unknown>;
  readonly strand: Strand;
}

/** What a strand needs from the state. */
export interface StrandHost {
  thread: Thread;
  push(L: Thread, value: unknown): void;
  value(L: Thread, index: number): LuaValue;
  /** Pushes the results of a binding and returns their count. */
  deliver(L: Thread, value: unknown): number;
  /** The error that leaves a binding. */
  leaving(L: Thread, error: unknown): unknown;
  /** What an abort that has reached us stands for. */
  arrived(error: unknown): unknown;
  /** The Lua error on top of a dead coroutine's stack. */
  failure(L: Thread): Error;
}

const IMMEDIATELY: Wait = { ready: () => true, deadline: 0 };

export class Strands {
  private readonly open = new WeakMap<Thread, Strand>();

  constructor(private readonly host: StrandHost) {}

  /** Whether a binding called on this thread may yield to our driver. */
  yields(L: Thread): boolean {
    return this.open.has(L) && lua.lua_isyieldable(L);
  }

  /** Runs a binding's operation by yielding; only where `yields` says so. */
  suspend(L: Thread, op: Op<unknown>): number {
    return this.proceed(L, { op, strand: this.open.get(L) as Strand }, op.next());
  }

  /** Calls a Lua function on a new coroutine. */
  *run(fn: LuaRef, args: readonly unknown[]): Op<LuaValue[]> {
    const host = this.host;
    const L = lua.lua_newthread(host.thread);
    lua.lua_pop(host.thread, 1);
    const strand: Strand = { wait: undefined, ready: true, interruption: undefined };
    this.open.set(L, strand);
    lua.lua_checkstack(L, args.length + 6);
    fn.anchor(L);
    for (const arg of args) host.push(L, arg);
    for (let given = args.length; ; given = 0) {
      const status = this.resume(L, given);
      if (status === lua.LUA_OK)
        return Array.from({ length: lua.lua_gettop(L) }, (_, i) => host.value(L, i + 1));
      if (status !== lua.LUA_YIELD) {
        const error = host.failure(L);
        lua.lua_closethread(L, null);
        throw error;
      }
      lua.lua_settop(L, 0);
      const wait = strand.wait ?? IMMEDIATELY;
      strand.wait = undefined;
      try {
        strand.ready = yield wait;
      } catch (error) {
        strand.interruption = error;
        if (wait === IMMEDIATELY) throw error;
      }
    }
  }

  private resume(L: Thread, given: number): number {
    try {
      return lua.lua_resume(L, null, given);
    } catch (error) {
      throw this.host.arrived(error);
    }
  }

  private proceed(L: Thread, suspended: Suspended, first: IteratorResult<Wait, unknown>): number {
    let step = first;
    while (!step.done && step.value.ready()) step = suspended.op.next(true);
    if (step.done) return this.host.deliver(L, step.value);
    suspended.strand.wait = step.value;
    return lua.lua_yieldk(L, 0, suspended, this.resumed);
  }

  private readonly resumed: Continuation<Suspended> = (L, _status, suspended) => {
    const outer = this.host.thread;
    this.host.thread = L;
    try {
      const { op, strand } = suspended;
      const { interruption } = strand;
      strand.interruption = undefined;
      return this.proceed(
        L,
        suspended,
        interruption === undefined ? op.next(strand.ready) : op.throw(interruption),
      );
    } catch (error) {
      throw this.host.leaving(L, error);
    } finally {
      this.host.thread = outer;
    }
  };
}

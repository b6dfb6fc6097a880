/** Both directions of an error's way: from a JS exception to what Lua raises, and from a Lua error to JS. */

import { isBug, renderError } from "../errors/render.ts";
import { lauxlib, literal, lua, type Thread, toText } from "./engine.ts";
import { LuaError } from "./errors.ts";
import { LuaTable } from "./table.ts";
import { type Frame, framesOf, traceback } from "./trace.ts";
import type { LuaValue } from "./values.ts";

/** Messages whose JS error is remembered. */
const REMEMBERED = 64;
/** Fields of an error object that its text shows. */
const SHOWN_FIELDS = 8;

export interface RaisingHost {
  push(L: Thread, value: unknown): void;
  value(L: Thread, index: number): LuaValue;
  textOf(value: LuaValue): string;
  readonly thread: Thread;
}

export class Raising {
  private readonly causes = new Map<string, unknown>();
  /** Where the error that is on its way was raised. */
  private raisedAt: readonly Frame[] = [];

  constructor(private readonly host: RaisingHost) {}

  /** The JS error that became this message in Lua, as long as it is remembered. */
  causeOf(message: string): unknown {
    return this.causes.get(message);
  }

  /** Message handler of a protected call: keeps where it happened and leaves the error as it is. */
  readonly handler = (L: Thread): number => {
    this.raisedAt = framesOf(L, 1);
    return 1;
  };

  /** A JS exception (light userdata at 1) is about to become a Lua error: pushes which one. */
  readonly translate = (L: Thread): number => {
    const error: unknown = lua.lua_touserdata(L, 1);
    lua.lua_checkstack(L, 10);
    if (error instanceof LuaError) {
      this.host.push(L, error.value);
      return 1;
    }
    const frames = framesOf(L, 1);
    const caller = frames.find((frame) => !frame.native && frame.line !== undefined);
    const position = caller === undefined ? "" : `${caller.file}:${caller.line}: `;
    const message = `${position}${textFor(error, frames)}`;
    this.remember(message, error);
    this.host.push(L, message);
    return 1;
  };

  /** The error that the message handler has seen; its value is on top of the stack and popped. */
  caught(L: Thread): LuaError {
    const frames = this.raisedAt;
    this.raisedAt = [];
    return this.popped(L, frames);
  }

  /** The error that ended a coroutine; its value is on top of the coroutine's stack and popped. */
  died(L: Thread): LuaError {
    return this.popped(L, framesOf(L, 0));
  }

  private popped(L: Thread, frames: readonly Frame[]): LuaError {
    const value = this.host.value(L, -1);
    lua.lua_pop(L, 1);
    const text = this.textOf(value);
    return new LuaError(text, value, frames, this.causes.get(text));
  }

  /** The text of an error value: as `tostring` has it; of a table without `__tostring` what is in it. */
  private textOf(value: LuaValue): string {
    if (!(value instanceof LuaTable) || this.hasText(value)) return this.host.textOf(value);
    const fields = value
      .entries()
      .slice(0, SHOWN_FIELDS)
      .map(([key, item]) => {
        const name = key instanceof Uint8Array ? toText(key) : this.host.textOf(key);
        return `${name} = ${this.host.textOf(item)}`;
      });
    return `(error object is a table: {${fields.join(", ")}})`;
  }

  private hasText(table: LuaTable): boolean {
    const L = this.host.thread;
    const top = lua.lua_gettop(L);
    lua.lua_checkstack(L, 4);
    table.anchor(L);
    const has = lauxlib.luaL_getmetafield(L, -1, literal("__tostring")) !== lua.LUA_TNIL;
    lua.lua_settop(L, top);
    return has;
  }

  private remember(message: string, error: unknown): void {
    this.causes.delete(message);
    this.causes.set(message, error);
    if (this.causes.size > REMEMBERED) this.causes.delete(this.causes.keys().next().value as string);
  }
}

/** What Lua is told. The engine's own limits surface as RangeError: they are errors of the test, not bugs. */
const textFor = (error: unknown, frames: readonly Frame[]): string => {
  if (error instanceof RangeError) {
    if (/call stack/i.test(error.message)) return "stack overflow";
    if (/memory|array (buffer )?(length|size)|too (large|big)/i.test(error.message))
      return "not enough memory";
  }
  return isBug(error) ? `${renderError(error)}\nLua stack:\n${traceback(frames)}` : renderError(error);
};

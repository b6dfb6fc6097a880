/**
 * One Lua state: the whole world of one test file, and the door to it. Everything that touches Lua goes through
 * this class or the references that it hands out.
 */

import type { InterruptedError } from "../errors/errors.ts";
import type { Op } from "../sys/op.ts";
import type { Reactor } from "../sys/reactor.ts";
import { type BindingHost, Bindings, leaving } from "./bind.ts";
import { pushValue, valueAt } from "./convert.ts";
import { describe } from "./describe.ts";
import {
  lauxlib,
  limitMemory,
  literal,
  lua,
  lualib,
  standing,
  type Thread,
  toBytes,
  toText,
} from "./engine.ts";
import { LuaAbort, LuaError } from "./errors.ts";
import type { LuaFunction } from "./function.ts";
import {
  displayPath,
  fileSearcher,
  getSearchPath,
  installSearchers,
  searchPath,
  setSearchPath,
} from "./modules.ts";
import { Raising } from "./raising.ts";
import { type StrandHost, Strands } from "./strand.ts";
import { LuaTable } from "./table.ts";
import { Tasks } from "./tasks.ts";
import { type Frame, framesOf } from "./trace.ts";
import { type LuaRef, type LuaValue, Results } from "./values.ts";

export interface LuaStateOptions {
  readonly reactor: Reactor;
  /** Megabytes that Lua values may take; 0 for no limit. */
  readonly memoryLimitMb: number;
  /** Directories that `require` searches, in this order. */
  readonly roots: readonly string[];
  /** Directory that module paths are shown relative to. */
  readonly project?: string;
}

/** Loops, calls and jumps between two questions of the watchdog: about a fifth of a millisecond. */
const WATCHDOG_INTERVAL = 20_000;

const LIBRARIES = [
  ["_G", lualib.luaopen_base],
  ["package", lualib.luaopen_package],
  ["coroutine", lualib.luaopen_coroutine],
  ["table", lualib.luaopen_table],
  ["io", lualib.luaopen_io],
  ["os", lualib.luaopen_os],
  ["string", lualib.luaopen_string],
  ["math", lualib.luaopen_math],
  ["utf8", lualib.luaopen_utf8],
  ["debug", lualib.luaopen_debug],
] as const;

export class LuaState implements BindingHost, StrandHost {
  thread: Thread;
  readonly reactor: Reactor;
  readonly tasks: Tasks;
  /** Files behind chunk names, for source lines in reports. */
  readonly sources = new Map<string, string>();
  private readonly main: Thread;
  private readonly bindings: Bindings = new Bindings(this);
  private readonly strands: Strands = new Strands(this);
  private readonly raising: Raising = new Raising(this);
  private readonly project: string;
  /** Where Lua was at the last interruption. */
  interruptedAt: readonly Frame[] = [];

  constructor(options: LuaStateOptions) {
    this.reactor = options.reactor;
    this.tasks = new Tasks(options.reactor);
    this.project = options.project ?? process.cwd();
    const L = lauxlib.luaL_newstate();
    this.main = L;
    this.thread = L;
    for (const [name, open] of LIBRARIES) {
      lauxlib.luaL_requiref(L, literal(name), open, 1);
      lua.lua_pop(L, 1);
    }
    lua.lua_atnativeerror(L, this.raising.translate);
    setSearchPath(L, searchPath(options.roots));
    const searcher = fileSearcher(
      () => getSearchPath(this.thread),
      (path, text) => this.load(text, displayPath(path, this.project), path),
    );
    installSearchers(L, (to, it) => this.push(to, it), searcher);
    limitMemory(L, options.memoryLimitMb * 1024 * 1024);
  }

  /** Drops the state. References into it must not be used any more. */
  close(): void {
    this.setWatchdog(undefined);
    lua.lua_close(this.main);
  }

  // --- globals and chunks ----------------------------------------------------------------------------------

  global(name: string): LuaValue {
    const L = this.thread;
    lua.lua_getglobal(L, literal(name));
    const value = this.value(L, -1);
    lua.lua_pop(L, 1);
    return value;
  }

  setGlobal(name: string, value: unknown): void {
    const L = this.thread;
    lua.lua_checkstack(L, 6);
    this.push(L, value);
    lua.lua_setglobal(L, literal(name));
  }

  /** A global (or any library) table; throws when it is not there. */
  table(name: string): LuaTable {
    const table = this.global(name);
    if (table instanceof LuaTable) return table;
    throw new TypeError(`global '${name}' is no table`);
  }

  newTable(): LuaTable {
    const L = this.thread;
    lua.lua_createtable(L, 0, 0);
    const table = this.value(L, -1) as LuaTable;
    lua.lua_pop(L, 1);
    return table;
  }

  /** The metatable of a value, whatever its `__metatable` says; all strings share one. */
  metatableOf(value: LuaValue): LuaTable | undefined {
    const L = this.thread;
    const top = lua.lua_gettop(L);
    lua.lua_checkstack(L, 4);
    this.push(L, value);
    const table = lua.lua_getmetatable(L, -1) ? (this.value(L, -1) as LuaTable) : undefined;
    lua.lua_settop(L, top);
    return table;
  }

  /** The metatable that all strings share. */
  stringMetatable(): LuaTable {
    return this.metatableOf(literal("")) as LuaTable;
  }

  /**
   * Compiles a chunk. `name` is what errors call it; `path` the file behind it, if any. A syntax error throws
   * `LuaError` with the position in its message.
   */
  load(text: Uint8Array | string, name: string, path?: string): LuaFunction {
    const L = this.thread;
    const bytes = typeof text === "string" ? toBytes(text) : text;
    if (path !== undefined) this.sources.set(name, path);
    const body = withoutPreamble(bytes);
    const status = lauxlib.luaL_loadbufferx(L, body, body.length, toBytes(`@${name}`), null);
    const value = this.value(L, -1);
    lua.lua_pop(L, 1);
    if (status === lua.LUA_OK) return value as LuaFunction;
    throw new LuaError(this.textOf(value), value, framesOf(L, 0), undefined);
  }

  // --- limits ----------------------------------------------------------------------------------------------

  /** Asks `check` every fraction of a millisecond while Lua computes; what it returns ends everything, uncaught. */
  setWatchdog(check: (() => InterruptedError | undefined) | undefined): void {
    const code =
      check === undefined
        ? null
        : (L: Thread): number => {
            const reason = check();
            if (reason !== undefined) throw new LuaAbort(reason, framesOf(L, 0));
            return 0;
          };
    if (lua.lua_setwatchdog !== undefined) lua.lua_setwatchdog(this.main, code, WATCHDOG_INTERVAL);
    else lua.lua_sethook(this.main, code, code === null ? 0 : 8, WATCHDOG_INTERVAL);
  }

  /** Bytes that Lua values take, about. */
  get memory(): number {
    return lua.lua_memory?.(this.main) ?? 0;
  }

  // --- values ----------------------------------------------------------------------------------------------

  push(L: Thread, value: unknown): void {
    pushValue(L, value, this.bindings);
  }

  value(L: Thread, index: number): LuaValue {
    return valueAt(L, index, this);
  }

  /** `tostring(value)`; a failing `__tostring` gives what can be said without it. */
  textOf(value: LuaValue): string {
    if (value instanceof Uint8Array) return toText(value);
    const L = this.thread;
    const top = lua.lua_gettop(L);
    lua.lua_checkstack(L, 6);
    lua.lua_pushcfunction(L, toStringOf);
    this.push(L, value);
    const ok = lua.lua_pcall(L, 1, 1, 0) === lua.LUA_OK;
    const text = ok
      ? toText(lua.lua_tostring(L, -1) as Uint8Array)
      : `(a ${describe(value)} whose __tostring fails)`;
    lua.lua_settop(L, top);
    return text;
  }

  /** Whether two values are the same to Lua without metamethods. */
  rawEqual(a: LuaValue, b: LuaValue): boolean {
    const L = this.thread;
    lua.lua_checkstack(L, 6);
    this.push(L, a);
    this.push(L, b);
    const equal = Boolean(lua.lua_rawequal(L, -2, -1));
    lua.lua_pop(L, 2);
    return equal;
  }

  /** Whether `a == b` holds in Lua, metamethods included. */
  equal(a: LuaValue, b: LuaValue): boolean {
    const L = this.thread;
    const top = lua.lua_gettop(L);
    lua.lua_checkstack(L, 6);
    lua.lua_pushcfunction(L, equalsOf);
    this.push(L, a);
    this.push(L, b);
    this.call(L, 2);
    const equal = lua.lua_toboolean(L, -1);
    lua.lua_settop(L, top);
    return equal;
  }

  // --- calls -----------------------------------------------------------------------------------------------

  call(L: Thread, args: number): number {
    const base = lua.lua_gettop(L) - args;
    lua.lua_pushcfunction(L, this.raising.handler);
    lua.lua_insert(L, base);
    const outer = this.thread;
    const restore = standing(L);
    let status: number;
    try {
      status = lua.lua_pcall(L, args, lua.LUA_MULTRET, base);
    } catch (error) {
      restore();
      throw this.arrived(error);
    } finally {
      this.thread = outer;
    }
    lua.lua_remove(L, base);
    if (status === lua.LUA_OK) return lua.lua_gettop(L) - base + 1;
    throw this.told(() => this.raising.caught(L));
  }

  run(fn: LuaRef, args: readonly unknown[]): Op<LuaValue[]> {
    return this.strands.run(fn, args);
  }

  drive(L: Thread, op: Op<unknown>): number {
    if (this.strands.yields(L)) return this.strands.suspend(L, op);
    return this.deliver(L, this.tasks.run(op));
  }

  deliver(L: Thread, value: unknown): number {
    if (value === undefined) return 0;
    if (!(value instanceof Results)) {
      lua.lua_checkstack(L, 6);
      this.push(L, value);
      return 1;
    }
    lua.lua_checkstack(L, value.values.length + 6);
    for (const item of value.values) this.push(L, item);
    return value.values.length;
  }

  get inTask(): boolean {
    return this.strands.yields(this.thread);
  }

  leaving(L: Thread, error: unknown): unknown {
    return leaving(L, error);
  }

  arrived(error: unknown): unknown {
    if (!(error instanceof LuaAbort)) return error;
    this.interruptedAt = error.frames;
    error.reason.leftCode();
    return error.reason;
  }

  /** Where the running thread is, innermost first. */
  frames(): readonly Frame[] {
    return framesOf(this.thread, 0);
  }

  failure(L: Thread): LuaError {
    return this.told(() => this.raising.died(L));
  }

  /** An error object turns itself into text with Lua code (`__tostring`), which may be interrupted as well. */
  private told(make: () => LuaError): LuaError {
    try {
      return make();
    } catch (error) {
      throw this.arrived(error);
    }
  }

  /** The JS error that became this message in Lua, as long as it is remembered. */
  causeOf(message: string): unknown {
    return this.raising.causeOf(message);
  }
}

const toStringOf = (L: Thread): number => {
  lauxlib.luaL_tolstring(L, 1);
  return 1;
};

const equalsOf = (L: Thread): number => {
  lua.lua_pushboolean(L, Boolean(lua.lua_compare(L, 1, 2, lua.LUA_OPEQ)));
  return 1;
};

/** The chunk as `luaL_loadfile` reads it: without a byte order mark, and with a first "#!" line emptied, so that line numbers stay. */
const withoutPreamble = (text: Uint8Array): Uint8Array => {
  const marked = text[0] === 0xef && text[1] === 0xbb && text[2] === 0xbf;
  const body = marked ? text.subarray(3) : text;
  if (body[0] !== 0x23) return body;
  const end = body.indexOf(0x0a);
  return end < 0 ? new Uint8Array() : body.subarray(end);
};

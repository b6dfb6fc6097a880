/** The part of the patched fengari that the door uses. Names and stack effects are those of Lua's C API. */
declare module "fengari" {
  /** A Lua thread. Its fields are fengari's own business. */
  export interface Thread {
    readonly lua_State: unique symbol;
  }
  export type NativeCode = (L: Thread) => number;
  export type Continuation<C> = (L: Thread, status: number, context: C) => number;
  /** Pushes the value it stands for on a thread of the same state. */
  export type Anchor = (L: Thread) => void;
  export interface DebugRecord {
    name: Uint8Array | null;
    namewhat: Uint8Array;
    what: Uint8Array;
    source: Uint8Array;
    short_src: Uint8Array;
    currentline: number;
    linedefined: number;
    istailcall: boolean;
  }
  interface Lua {
    readonly LUA_OK: number;
    readonly LUA_YIELD: number;
    readonly LUA_OPEQ: number;
    readonly LUA_MULTRET: number;
    readonly LUA_REGISTRYINDEX: number;
    readonly LUA_TNONE: number;
    readonly LUA_TNIL: number;
    readonly LUA_TBOOLEAN: number;
    readonly LUA_TLIGHTUSERDATA: number;
    readonly LUA_TNUMBER: number;
    readonly LUA_TSTRING: number;
    readonly LUA_TTABLE: number;
    readonly LUA_TFUNCTION: number;
    readonly LUA_TUSERDATA: number;
    readonly LUA_TTHREAD: number;
    lua_Debug: new () => DebugRecord;
    lua_absindex(L: Thread, index: number): number;
    lua_atnativeerror(L: Thread, handler: NativeCode): unknown;
    lua_call(L: Thread, args: number, results: number): void;
    lua_checkstack(L: Thread, slots: number): boolean;
    lua_close(L: Thread): void;
    lua_closethread(L: Thread, from: Thread | null): number;
    lua_compare(L: Thread, a: number, b: number, operator: number): number | boolean;
    lua_createtable(L: Thread, array: number, fields: number): void;
    lua_error(L: Thread): never;
    lua_getfield(L: Thread, index: number, key: Uint8Array): number;
    lua_getglobal(L: Thread, name: Uint8Array): number;
    lua_getinfo(L: Thread, what: Uint8Array, record: DebugRecord): number;
    lua_getmetatable(L: Thread, index: number): boolean;
    lua_getstack(L: Thread, level: number, record: DebugRecord): number;
    lua_gettable(L: Thread, index: number): number;
    lua_gettop(L: Thread): number;
    lua_insert(L: Thread, index: number): void;
    lua_isinteger(L: Thread, index: number): boolean;
    lua_isyieldable(L: Thread): boolean;
    lua_newthread(L: Thread): Thread;
    lua_newuserdata(L: Thread, size: number): { instance?: object };
    lua_next(L: Thread, index: number): number;
    lua_pcall(L: Thread, args: number, results: number, handler: number): number;
    lua_pop(L: Thread, n: number): void;
    lua_pushboolean(L: Thread, value: boolean): void;
    lua_pushcfunction(L: Thread, code: NativeCode): void;
    lua_pushglobaltable(L: Thread): void;
    lua_pushinteger(L: Thread, value: number | bigint): void;
    lua_pushlightuserdata(L: Thread, value: unknown): void;
    lua_pushnil(L: Thread): void;
    lua_pushnumber(L: Thread, value: number): void;
    lua_pushstring(L: Thread, value: Uint8Array): Uint8Array;
    lua_pushbytes?(L: Thread, value: Uint8Array): void;
    lua_pushvalue(L: Thread, index: number): void;
    lua_rawequal(L: Thread, a: number, b: number): number | boolean;
    lua_rawget(L: Thread, index: number): number;
    lua_rawgeti(L: Thread, index: number, n: number): number;
    lua_rawlen(L: Thread, index: number): number;
    lua_rawset(L: Thread, index: number): void;
    lua_rawseti(L: Thread, index: number, n: number): void;
    lua_remove(L: Thread, index: number): void;
    lua_replace(L: Thread, index: number): void;
    lua_resume(L: Thread, from: Thread | null, args: number): number;
    lua_setfield(L: Thread, index: number, key: Uint8Array): void;
    lua_setglobal(L: Thread, name: Uint8Array): void;
    lua_setmemorylimit?(L: Thread, bytes: number): void;
    lua_memory?(L: Thread): number;
    lua_setmetatable(L: Thread, index: number): void;
    lua_settable(L: Thread, index: number): void;
    lua_settop(L: Thread, index: number): void;
    lua_sethook(L: Thread, hook: NativeCode | null, mask: number, count: number): void;
    lua_setwatchdog?(L: Thread, code: ((L: Thread) => void) | null, interval: number): void;
    lua_status(L: Thread): number;
    lua_toboolean(L: Thread, index: number): boolean;
    lua_tointegerx(L: Thread, index: number): number | bigint | false;
    lua_tonumber(L: Thread, index: number): number;
    lua_tonumberx?(L: Thread, index: number): number | false;
    lua_topointer(L: Thread, index: number): unknown;
    lua_toproxy(L: Thread, index: number): Anchor;
    lua_tostring(L: Thread, index: number): Uint8Array | null;
    lua_tothread(L: Thread, index: number): Thread | null;
    lua_touserdata(L: Thread, index: number): unknown;
    lua_type(L: Thread, index: number): number;
    lua_xmove(from: Thread, to: Thread, n: number): void;
    lua_yieldk<C>(L: Thread, results: number, context: C, then: Continuation<C>): number;
  }
  interface Auxiliary {
    luaL_newstate(): Thread;
    luaL_loadbufferx(
      L: Thread,
      text: Uint8Array,
      size: number,
      name: Uint8Array,
      mode: Uint8Array | null,
    ): number;
    luaL_requiref(L: Thread, name: Uint8Array, open: NativeCode, global: number): void;
    luaL_tolstring(L: Thread, index: number): Uint8Array;
    luaL_getmetafield(L: Thread, index: number, name: Uint8Array): number;
  }
  interface Libraries {
    luaopen_base: NativeCode;
    luaopen_coroutine: NativeCode;
    luaopen_debug: NativeCode;
    luaopen_io: NativeCode;
    luaopen_math: NativeCode;
    luaopen_os: NativeCode;
    luaopen_package: NativeCode;
    luaopen_string: NativeCode;
    luaopen_table: NativeCode;
    luaopen_utf8: NativeCode;
  }
  const fengari: { readonly lua: Lua; readonly lauxlib: Auxiliary; readonly lualib: Libraries };
  export default fengari;
}

/** Values across the door, one stack slot at a time. The rules stand at the head of `values.ts`. */

import { typeName } from "./args.ts";
import type { Bindings } from "./bind.ts";
import { lua, pushBytes, type Thread, toBytes } from "./engine.ts";
import { LuaFunction } from "./function.ts";
import { NativeFunction } from "./native.ts";
import { LuaTable } from "./table.ts";
import { type Heap, LuaFloat, LuaRef, type LuaValue } from "./values.ts";

const DEEPEST = 200;

const isPlainObject = (value: object): value is Record<string, unknown> => {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
};

const pushNumber = (L: Thread, value: number): void => {
  if (Number.isSafeInteger(value) && !Object.is(value, -0)) lua.lua_pushinteger(L, value);
  else lua.lua_pushnumber(L, value);
};

/** Pushes one value. Throws `TypeError` for what has no Lua counterpart: that is a bug of the binding. */
export const pushValue = (L: Thread, value: unknown, bindings: Bindings, depth = 0): void => {
  if (value === undefined || value === null) lua.lua_pushnil(L);
  else if (typeof value === "boolean") lua.lua_pushboolean(L, value);
  else if (typeof value === "number") pushNumber(L, value);
  else if (typeof value === "bigint") lua.lua_pushinteger(L, value);
  else if (typeof value === "string") pushBytes(L, toBytes(value));
  else if (typeof value === "object") pushObject(L, value, bindings, depth);
  else throw new TypeError(`a binding returned a ${typeof value}`);
};

const pushObject = (L: Thread, value: object, bindings: Bindings, depth: number): void => {
  if (value instanceof Uint8Array) pushBytes(L, value);
  else if (value instanceof LuaRef) value.anchor(L);
  else if (value instanceof LuaFloat) lua.lua_pushnumber(L, value.value);
  else if (value instanceof NativeFunction) bindings.pushFunction(L, value);
  else if (depth === DEEPEST) throw new TypeError("a binding returned a value nested too deep, or a cycle");
  else if (Array.isArray(value)) pushSequence(L, value, bindings, depth);
  else if (value instanceof Map) pushPairs(L, value.entries(), bindings, depth);
  else if (isPlainObject(value)) pushPairs(L, Object.entries(value), bindings, depth);
  else if (!bindings.pushObject(L, value))
    throw new TypeError(
      `a binding returned a ${value.constructor?.name ?? "object"}, which no class declares`,
    );
};

const pushSequence = (L: Thread, items: readonly unknown[], bindings: Bindings, depth: number): void => {
  lua.lua_checkstack(L, 4);
  lua.lua_createtable(L, items.length, 0);
  items.forEach((item, i) => {
    pushValue(L, item, bindings, depth + 1);
    lua.lua_rawseti(L, -2, i + 1);
  });
};

const pushPairs = (
  L: Thread,
  pairs: Iterable<[unknown, unknown]>,
  bindings: Bindings,
  depth: number,
): void => {
  lua.lua_checkstack(L, 4);
  lua.lua_createtable(L, 0, 0);
  for (const [key, item] of pairs) {
    if (item === undefined || item === null) continue;
    pushValue(L, key, bindings, depth + 1);
    pushValue(L, item, bindings, depth + 1);
    lua.lua_rawset(L, -3);
  }
};

/** The value in a stack slot; absent slots are undefined. */
export const valueAt = (L: Thread, index: number, heap: Heap): LuaValue => {
  const type = lua.lua_type(L, index);
  switch (type) {
    case lua.LUA_TNONE:
    case lua.LUA_TNIL:
      return undefined;
    case lua.LUA_TBOOLEAN:
      return lua.lua_toboolean(L, index);
    case lua.LUA_TNUMBER: {
      if (lua.lua_isinteger(L, index)) return lua.lua_tointegerx(L, index) as number | bigint;
      const number = lua.lua_tonumber(L, index);
      return Number.isInteger(number) ? new LuaFloat(number) : number;
    }
    case lua.LUA_TSTRING:
      return lua.lua_tostring(L, index) as Uint8Array;
    case lua.LUA_TTABLE:
      return new LuaTable(heap, lua.lua_toproxy(L, index), "table");
    case lua.LUA_TFUNCTION:
      return new LuaFunction(heap, lua.lua_toproxy(L, index), "function");
    case lua.LUA_TUSERDATA: {
      const data = lua.lua_touserdata(L, index) as { instance?: object };
      return data.instance ?? new LuaRef(heap, lua.lua_toproxy(L, index), "userdata");
    }
    default:
      return new LuaRef(heap, lua.lua_toproxy(L, index), typeName(type));
  }
};

/** `require` through package.path, with module files named in errors as people know them. */

import { readFileSync } from "node:fs";
import { relative } from "node:path";
import { lauxlib, literal, lua, type Thread, toBytes, toText } from "./engine.ts";
import type { LuaFunction } from "./function.ts";
import { fn, type NativeFunction } from "./native.ts";
import { results } from "./values.ts";

/** Path shown to people: relative to the project where it lies inside. */
export const displayPath = (path: string, project: string): string => {
  const below = relative(project, path);
  return below.startsWith("..") || below === "" ? path : below;
};

/** The value of package.path for these roots, in order, then the working directory as Lua has it by default. */
export const searchPath = (roots: readonly string[]): string =>
  [...roots.flatMap((root) => [`${root}/?.lua`, `${root}/?/init.lua`]), "./?.lua", "./?/init.lua"].join(";");

const contents = (path: string): Uint8Array | undefined => {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
};

/** The searcher for Lua files: finds the module, loads it, and gives the loader and the file's name. */
export const fileSearcher = (
  currentPath: () => string,
  load: (path: string, text: Uint8Array) => LuaFunction,
): NativeFunction =>
  fn("searcher", "(name: string): function|string", "Finds a module's file.", (args) => {
    const module = args.text(1);
    const tried: string[] = [];
    for (const template of currentPath()
      .split(";")
      .filter((it) => it !== "")) {
      const path = template.replaceAll("?", module.replaceAll(".", "/"));
      const text = contents(path);
      if (text !== undefined) return results(load(path, text), path);
      tried.push(`\n\tno file '${path}'`);
    }
    return tried.join("");
  });

/** Replaces the stock searchers (which would also load JavaScript) by package.preload and ours. */
export const installSearchers = (
  L: Thread,
  push: (L: Thread, searcher: NativeFunction) => void,
  searcher: NativeFunction,
): void => {
  lua.lua_getglobal(L, literal("package"));
  lua.lua_getfield(L, -1, literal("searchers"));
  push(L, searcher);
  lua.lua_rawseti(L, -2, 2);
  for (let i = 3; lua.lua_rawlen(L, -1) >= i; ) {
    lua.lua_pushnil(L);
    lua.lua_rawseti(L, -2, lua.lua_rawlen(L, -2));
  }
  lua.lua_pop(L, 1);
  for (const stock of ["jspath", "loadlib"]) {
    lua.lua_pushnil(L);
    lua.lua_setfield(L, -2, literal(stock));
  }
  lua.lua_pop(L, 1);
};

export const setSearchPath = (L: Thread, path: string): void => {
  lua.lua_getglobal(L, literal("package"));
  lua.lua_pushstring(L, toBytes(path));
  lua.lua_setfield(L, -2, literal("path"));
  lua.lua_pop(L, 1);
};

export const getSearchPath = (L: Thread): string => {
  lua.lua_getglobal(L, literal("package"));
  lua.lua_getfield(L, -1, literal("path"));
  const path = lua.lua_type(L, -1) === lua.LUA_TSTRING ? toText(lauxlib.luaL_tolstring(L, -1)) : undefined;
  lua.lua_settop(L, path === undefined ? -3 : -4);
  if (path === undefined) throw new TypeError("package.path");
  return path;
};

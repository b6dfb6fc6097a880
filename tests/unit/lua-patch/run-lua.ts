/** Runs a Lua file on the patched fengari, as the `lua` program would: `bun run-lua.ts <fengari> <file> <arguments>`. */

const [directory, file, ...rest] = process.argv.slice(2);
const { default: fengari } = await import(`${directory}/src/fengari.js`);
const { lua, lauxlib, lualib, to_luastring } = fengari;

const L = lauxlib.luaL_newstate();
lualib.luaL_openlibs(L);
lua.lua_createtable(L, 0, 0);
for (const [i, text] of [file, ...rest].entries()) {
  lua.lua_pushstring(L, to_luastring(text));
  lua.lua_rawseti(L, -2, i);
}
lua.lua_setglobal(L, to_luastring("arg"));
const status = lauxlib.luaL_loadfile(L, to_luastring(file)) || lua.lua_pcall(L, 0, 0, 0);
if (status !== 0) {
  process.stderr.write(`${Buffer.from(lauxlib.luaL_tolstring(L, -1)).toString()}\n`);
  process.exit(1);
}

export {};

/** Bounds on a running program: the watchdog, the abort that nothing catches, the memory limit, bytes without copies. */

import { afterEach, expect, test } from "bun:test";
import fengari from "fengari";

// The part of the JS side that the door does not use is not declared there.
// biome-ignore lint/suspicious/noExplicitAny: fengari has no types of its own
const { lua, lauxlib, lualib, to_luastring } = fengari as any;

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (u8: Uint8Array): string => new TextDecoder().decode(u8);

const state = () => {
  const L = lauxlib.luaL_newstate();
  lualib.luaL_openlibs(L);
  return L;
};

/** Runs a chunk; its first result as text, or the error message. */
const run = (L: unknown, code: string): string => {
  const top = lua.lua_gettop(L);
  const failed =
    lauxlib.luaL_loadbufferx(L, bytes(code), 0, bytes("=test"), null) || lua.lua_pcall(L, 0, 1, 0);
  const result = text(lauxlib.luaL_tolstring(L, -1));
  lua.lua_settop(L, top);
  return failed ? `error: ${result}` : result;
};

/** Runs a chunk that never ends, with a watchdog that aborts it at its hundredth call. */
const aborted = (L: unknown, code: string): unknown => {
  let calls = 0;
  lua.lua_setwatchdog(
    L,
    (running: unknown) => {
      if (++calls === 100) lua.lua_abort(running, "deadline");
    },
    100,
  );
  try {
    return run(L, code);
  } catch (error) {
    return error;
  } finally {
    lua.lua_setwatchdog(L, null, 0);
  }
};

afterEach(() => {
  lua.lua_setwatchdog(null, null, 0);
  lua.lua_setmemorylimit(null, 0);
});

const ENDLESS: Record<string, string> = {
  "a while loop": "while true do end",
  "a repeat loop": "repeat until false",
  "a numeric for loop": "for i = 1, math.huge do end",
  "a generic for loop": "for k in function() return 1 end do end",
  "a goto loop": "::again:: goto again",
  "tail calls": "local function f() return f() end f()",
  pcall: "while true do pcall(function() while true do end end) end",
  "a message handler": "xpcall(function() error('x') end, function() while true do end end)",
  "a coroutine": "coroutine.wrap(function() while true do pcall(function() while true do end end) end end)()",
  "a coroutine made before": "co = co or coroutine.wrap(function() while true do end end) co()",
  "a to-be-closed variable":
    "do local x <close> = setmetatable({}, {__close = function() while true do end end}) end",
  "a metamethod": "local t = setmetatable({}, {__index = function() while true do end end}) return t.x",
  "a sort comparator": "table.sort({3, 1, 2, 5}, function() while true do end end)",
  "a gsub callback": "('x'):gsub('x', function() while true do end end)",
  "a pattern that tries everything": "return ('a'):rep(2000):find(('.-'):rep(20) .. 'b')",
  "a pattern that tries every length": "return ('a'):rep(1e6):find('a*b')",
  "a pattern behind pcall":
    "while true do pcall(string.gsub, ('a'):rep(2000), ('a*'):rep(20) .. 'b', '') end",
  "brackets that never close": "return ('('):rep(1e6):find('%b()')",
  "a hook": "debug.sethook(function() while true do end end, '', 10) for i = 1, 1e6 do end",
};

for (const [where, code] of Object.entries(ENDLESS)) {
  test(`the abort ends ${where}, and the state goes on`, () => {
    const L = state();
    expect(aborted(L, code)).toBeInstanceOf(lua.LuaAbort);
    expect(lua.lua_gettop(L)).toBe(0);
    expect(run(L, "return select('#', pcall(error, 'x')) + 40")).toBe("42");
  });
}

test("no Lua code runs on the way out of an abort", () => {
  const L = state();
  const code = `
    ran = "nothing"
    local x <close> = setmetatable({}, {__close = function() ran = "close" end})
    xpcall(function() while true do end end, function() ran = "handler" end)
    ran = "after pcall"`;
  expect(aborted(L, code)).toBeInstanceOf(lua.LuaAbort);
  expect(run(L, "return ran")).toBe("nothing");
});

test("a coroutine that an abort passed is dead", () => {
  const L = state();
  aborted(L, "co = coroutine.create(function() while true do end end) coroutine.resume(co)");
  expect(run(L, "return coroutine.status(co)")).toBe("dead");
});

const HUNGRY: Record<string, string> = {
  "an array": "local t = {} for i = 1, 1e9 do t[i] = i end",
  "a table with string keys": "local t = {} for i = 1, 1e9 do t['k' .. i] = i end",
  "doubled strings": "local s = 'x' while true do s = s .. s end",
  "string.rep": "return #string.rep('x', 1e9)",
  gsub: "return #string.rep('x', 1e6):gsub('.', string.rep('y', 1000))",
  "nested tables": "local t = {} while true do t = {t} end",
  closures: "local t = {} while true do t[#t + 1] = function() return t end end",
  "table.concat": "return table.concat({string.rep('a', 40e6), string.rep('b', 40e6)})",
};

for (const [what, code] of Object.entries(HUNGRY)) {
  test(`${what} beyond the memory limit is a Lua error with file and line`, () => {
    const L = state();
    lua.lua_setmemorylimit(L, 64 << 20);
    expect(run(L, code)).toBe("error: memory limit (64 MB) exceeded in test:1");
    expect(run(L, "return 'alive'")).toBe("alive");
  });
}

test("garbage does not count against the memory limit", () => {
  const L = state();
  lua.lua_setmemorylimit(L, 64 << 20);
  expect(run(L, "for i = 1, 300 do local s = string.rep('a', 1000000) .. i end return 'done'")).toBe("done");
});

test("pcall catches the memory error, and what was released can be used again", () => {
  const L = state();
  lua.lua_setmemorylimit(L, 64 << 20);
  const code =
    "for i = 1, 3 do pcall(function() local t = {} for j = 1, 1e9 do t[j] = {} end end) end return 'done'";
  expect(run(L, code)).toBe("done");
}, 60_000);

test("bytes go to Lua and back as the same array", () => {
  const L = state();
  const data = new Uint8Array([0, 255, 128, 10]);
  lua.lua_pushbytes(L, data);
  expect(lua.lua_tobytes(L, -1)).toBe(data);
  lua.lua_pushinteger(L, 5);
  expect(lua.lua_tobytes(L, -1)).toBeNull();
});

test("integers of the host are wrapped to 64 bits", () => {
  const L = state();
  lua.lua_pushinteger(L, 2n ** 64n - 1n);
  expect(lua.lua_tointegerx(L, -1)).toBe(-1);
  lua.lua_pushinteger(L, 2n ** 63n - 1n);
  expect(lua.lua_tointegerx(L, -1)).toBe(2n ** 63n - 1n);
  expect(() => lua.lua_pushinteger(L, 2 ** 53)).toThrow();
});

test("a JS exception in a binding reaches Lua as the handler made it", () => {
  const L = state();
  lua.lua_atnativeerror(L, (running: unknown) => {
    lua.lua_pushstring(running, bytes(`native ${lua.lua_touserdata(running, 1).message}`));
    return 1;
  });
  lua.lua_pushcfunction(L, () => {
    throw new TypeError("broken");
  });
  lua.lua_setglobal(L, to_luastring("broken"));
  expect(run(L, "return select(2, pcall(broken))")).toBe("native broken");
});

test("recursion without end is a Lua error", () => {
  const L = state();
  expect(
    run(L, "local function f() return 1 + f() end return select(2, pcall(f)):match('stack overflow')"),
  ).toBe("stack overflow");
  expect(
    run(
      L,
      "local t = setmetatable({}, {}) getmetatable(t).__index = function(t, k) return t[k + 1] end return select(2, pcall(function() return t[1] end)):match('stack overflow')",
    ),
  ).toBe("stack overflow");
});

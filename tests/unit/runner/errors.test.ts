import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fn } from "../../../src/lua/native.ts";
import { run, stubSurface } from "./harness.ts";

const reasonOf = (body: string, before = ""): string =>
  run(`${before}test("x", function(t) ${body} end)`).reason("x");

test("error objects are shown by __tostring or by what is in them", () => {
  expect(reasonOf("error({code = 5})")).toBe("(error object is a table: {code = 5})");
  expect(reasonOf("error(setmetatable({}, {__tostring = function() return 'custom' end}))")).toBe("custom");
  expect(reasonOf("error(setmetatable({}, {__tostring = function() error('no') end}))")).toContain(
    "__tostring fails",
  );
  expect(reasonOf("error()")).toBe("nil");
  expect(reasonOf("error(42)")).toBe("42");
  expect(reasonOf("error(true)")).toBe("true");
  expect(reasonOf("error(print)")).toContain("function");
});

test("the place of an error object comes from the frame that raised it", () => {
  const [failed] = run(`test("x", function()
  local function inner() error({}) end
  inner()
end)`).of("test_failed");
  expect(failed?.detail).toMatchObject({ file: "t.test.lua", line: 2 });
});

test("an error with level 2 is placed at the caller", () => {
  const [failed] = run(`local function need(v)
  if not v then error("needed", 2) end
end
test("x", function()
  need(false)
end)`).of("test_failed");
  expect(failed?.reason).toBe("t.test.lua:5: needed");
  expect(failed?.detail.line).toBe(5);
});

test("an error through nested coroutines keeps its message", () => {
  expect(
    reasonOf("coroutine.wrap(function() coroutine.wrap(function() error('deep') end)() end)()"),
  ).toContain("deep");
  expect(
    reasonOf(
      "local co = coroutine.create(function() error({1}) end) local ok, e = coroutine.resume(co) t:assert(not ok and e[1] == 1) t:fail('seen')",
    ),
  ).toContain("seen");
});

test("an xpcall handler sees the error, and its own error is an error too", () => {
  const told = run(`test("h", function(t)
  local ok, text = xpcall(function() error("a") end, function(m) return "handled " .. m end)
  t:assert(not ok)
  t:assert_contains(text, "handled t.test.lua:2: a")
  local ok2 = xpcall(error, function() error("again") end)
  t:assert(not ok2)
  local ok3, trace = xpcall(function() error("b") end, debug.traceback)
  t:assert_contains(trace, "stack traceback:")
end)`);
  expect(told.results).toEqual(["h: passed"]);
});

test("an error in __close replaces the one before it", () => {
  expect(
    reasonOf(
      "local c <close> = setmetatable({}, {__close = function(_, e) error('closing after ' .. tostring(e), 0) end}) error('first', 0)",
    ),
  ).toBe("closing after first");
});

test("a skipped body runs its __close", () => {
  const told = run(`test("x", function(t)
  local c <close> = setmetatable({}, {__close = function() print("closed") end})
  t:skip("why")
end)`);
  expect(told.results).toEqual(["x: skipped"]);
  expect(told.printed).toBe("closed\n");
});

test("deep recursion fails its test and the next one runs", () => {
  const told = run(`test("deep", function() local function f(n) return 1 + f(n + 1) end f(1) end)
test("tostring", function() local m = {} m.__tostring = function(s) return tostring(s) end tostring(setmetatable({}, m)) end)
test("next", function(t) t:assert_eq(pcall(error), false) end)`);
  expect(told.results).toEqual(["deep: failed", "tostring: failed", "next: passed"]);
  expect(told.reason("deep")).toContain("stack overflow");
  expect(told.reason("tostring")).toContain("stack overflow");
});

test("huge strings stay errors of the test", () => {
  const told = run(`test("rep", function() return #string.rep("x", 1 << 50) end)
test("double", function(t) local s = string.rep("x", 1 << 20) t:assert_eq(#(s .. s), 2 << 20) end)
test("say", function() print(string.rep("y", 3 << 20)) end)
test("fail", function(t) t:assert_eq(string.rep("z", 1 << 20), "z") end)`);
  expect(told.results).toEqual(["rep: failed", "double: passed", "say: passed", "fail: failed"]);
  expect(told.reason("rep")).toContain("resulting string too large");
  expect(told.printed.length).toBe((3 << 20) + 1);
  expect(told.reason("fail").length).toBeLessThan(1000);
});

test("a bug in a binding fails its test with both stacks, and the file goes on", () => {
  const told = run(`test("bug", function() boom() end) test("next", function() end)`, {
    host: {
      install: (state) => {
        state.setGlobal(
          "boom",
          fn("boom", "()", "", () => {
            throw new TypeError("undefined is not an object");
          }),
        );
        return stubSurface();
      },
    },
  });
  expect(told.results).toEqual(["bug: failed", "next: passed"]);
  expect(told.reason("bug")).toContain("this is a bug in provium");
  expect(told.reason("bug")).toContain("errors.test.ts");
  expect(told.of("test_failed")[0]?.detail.traceback).toContain("t.test.lua:1:");
});

test("a bug in the surface fails its test and asks for a fresh process", () => {
  const surface = stubSurface();
  let entered = 0;
  const told = run(`test("a", function() end) test("b", function() end)`, {
    host: {
      install: () => ({
        ...surface,
        enterTest: () => {
          if (entered++ === 0) throw new TypeError("lost");
        },
      }),
    },
  });
  expect(told.results).toEqual(["a: failed", "b: passed"]);
  expect(told.reason("a")).toContain("this is a bug in provium");
  expect(told.outcome.clean).toBe(false);
});

test("require finds modules in the roots, once, and an error in one has its own place", () => {
  const probe = run("");
  expect(probe.outcome.status).toBe("passed");
  const told = run(
    `test("ok", function(t)
  local m = require("net.probe")
  t:assert_eq(m.answer, 42)
  t:assert(m == require("net.probe"))
end)
test("broken", function() require("net.broken") end)
test("raises", function() require("net.raises") end)
test("missing", function() require("net.missing") end)`,
    {
      host: {
        install: (state) => {
          const root = state.textOf(state.table("package").get("path")).split("/?.lua")[0] as string;
          mkdirSync(join(root, "net"), { recursive: true });
          // As editors of other systems write it: with a byte order mark.
          writeFileSync(join(root, "net/probe.lua"), "\ufeff#!/usr/bin/lua\nreturn {answer = 42}");
          writeFileSync(join(root, "net/broken.lua"), "local x =\n= 1");
          writeFileSync(join(root, "net/raises.lua"), "local function f()\n  error('inside')\nend\nf()");
          return stubSurface();
        },
      },
    },
  );
  expect(told.results).toEqual(["ok: passed", "broken: failed", "raises: failed", "missing: failed"]);
  expect(told.reason("broken")).toContain("net/broken.lua:2: unexpected symbol near '='");
  expect(told.reason("raises")).toBe("net/raises.lua:2: inside");
  expect(told.of("test_failed")[1]?.detail).toMatchObject({
    file: "net/raises.lua",
    line: 2,
    source: "error('inside')",
  });
  expect(told.reason("missing")).toContain("module 'net.missing' not found");
  expect(told.reason("missing")).toContain("no file");
});

test("the text of a chunk from load is named in its errors", () => {
  expect(reasonOf("load('error(\"in load\")')()")).toBe('[string "error("in load")"]:1: in load');
});

test("an unreadable file is an error of the file", () => {
  const told = run("", { job: { file: "/nonexistent/x.test.lua" } });
  expect(told.outcome.status).toBe("failed");
  expect(told.outcome.error).toContain("cannot read /nonexistent/x.test.lua");
});

test("what would end or block the runner is refused with what to do instead", () => {
  const told = run(`test("exit", function() os.exit(0) end)
test("popen", function() io.popen("ls") end)
test("debug", function() debug.debug() end)`);
  expect(told.results).toEqual(["exit: failed", "popen: failed", "debug: failed"]);
  expect(told.reason("exit")).toContain("t.test.lua:1: os.exit would end the runner, not the test");
  expect(told.of("test_failed")[1]?.detail.hint).toContain("vm:run");
});

test("a wrong timeout fails its test at its declaration, and only that", () => {
  const told = run(`test("a", function() end)
test("b", {timeout = "soon"}, function() error("unreached") end)
test("c", {timeout = 5.0}, function() end)`);
  expect(told.results).toEqual(["a: passed", "b: failed", "c: passed"]);
  expect(told.of("test_failed")[0]?.reason).toContain('bad timeout string "soon"');
  expect(told.of("test_failed")[0]?.detail.line).toBe(2);
});

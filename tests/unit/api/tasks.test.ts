import { afterEach, beforeEach, expect, test } from "bun:test";
import { answering } from "./guest.ts";
import { type World, world } from "./world.ts";

let w: World;
beforeEach(() => {
  w = world(answering());
  w.lua('g = provium:vm("g", "default"):boot()');
  w.lua("function nap() g:clock():sleep('1ms') end");
});
afterEach(() => w.close());

/** The message of what a call raises. */
const raised = (call: string): string =>
  String(w.lua(`local ok, err = pcall(function() ${call} end) return ok and "nothing raised" or err`)[0]);

test("parallel gives the first result of each function, in their order", () => {
  expect(
    w.lua("return provium:parallel(function() nap() return 'a', 1 end, function() return 'b' end)"),
  ).toEqual(["a", "b"]);
  expect(raised("provium:parallel(nap, function() error('second') end)")).toBe("a.test.lua:1: second");
});

test("a task gives all results, with what it was started with", () => {
  w.lua("t = provium:go(function(...) nap() return ... end, 1, nil, 'x')");
  expect(w.lua("return t:done(), tostring(t)")).toEqual([false, "task (running)"]);
  expect(w.lua("return t:wait('5s')")).toEqual([1, undefined, "x"]);
  expect(w.lua("return t:done(), tostring(t)")).toEqual([true, "task (done)"]);
});

test("who waits for a task gets its error, each time", () => {
  w.lua("t = provium:go(function() nap() error('mine') end)");
  for (let i = 0; i < 2; i++) expect(raised("t:wait()")).toBe("a.test.lua:1: mine");
  expect(w.lua("return tostring(t)")).toEqual(["task (failed)"]);
});

test("who waits for a cancelled task is told so, and goes on", () => {
  w.lua("t = provium:go(function() g:clock():sleep(60) end)");
  w.lua("other = provium:go(function() return pcall(t.wait, t) end)");
  w.lua("nap() t:cancel()");
  expect(w.lua("return tostring(t)")).toEqual(["task (cancelled)"]);
  expect(raised("t:wait()")).toBe("a.test.lua:1: the task was cancelled inside clock:sleep");
  expect(w.lua("return other:wait()")).toEqual([
    false,
    "a.test.lua:1: the task was cancelled inside clock:sleep",
  ]);
});

test.each([
  ["'10ms'", "the task has not ended within 0.01 s"],
  ["0", "the task has not ended within 0 s"],
  ["-1", "task:wait: timeout must be a duration"],
  ["0/0", "got number NaN"],
  ["{}", "got table"],
  ["'soon'", 'bad timeout string "soon"'],
])("t:wait(%s): %s", (timeout, why) => {
  w.lua("t = provium:go(function() g:clock():sleep(60) end)");
  expect(raised(`t:wait(${timeout})`)).toContain(why);
  w.lua("t:cancel()");
});

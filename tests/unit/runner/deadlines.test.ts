import { expect, test } from "bun:test";
import { fn } from "../../../src/lua/native.ts";
import type { LuaState } from "../../../src/lua/state.ts";
import { Deadlines } from "../../../src/runner/deadlines.ts";
import { sleep } from "../../../src/sys/op.ts";
import { run, stubSurface } from "./harness.ts";

const withNap = {
  host: {
    install: (state: LuaState) => {
      state.setGlobal(
        "nap",
        fn("nap", "(seconds: number)", "Waits.", function* (args) {
          yield* sleep(args.number(1) * 1000);
        }),
      );
      return stubSurface();
    },
  },
};

const withTasks = {
  host: {
    install: (state: LuaState) => {
      state.setGlobal(
        "go",
        fn("go", "(f)", "", (args) => void state.tasks.start(args.func(1).run())),
      );
      return withNap.host.install(state);
    },
  },
};

/** What the test does, and what the report adds about it. */
const LOOPS: readonly (readonly [string, string, string?])[] = [
  ["a bare loop", "while true do end"],
  ["a loop with pcall around the inside", "while true do pcall(function() while true do end end) end"],
  ["a pcall around the loop", "pcall(function() while true do end end) error('went on')"],
  [
    "an xpcall with a handler that loops",
    "xpcall(function() while true do end end, function() while true do end end)",
  ],
  [
    "an xpcall whose handler is entered by an error and loops",
    "xpcall(error, function() while true do end end)",
  ],
  ["a loop in a coroutine", "coroutine.wrap(function() pcall(function() while true do end end) end)()"],
  [
    "a loop in a coroutine in a coroutine",
    "coroutine.wrap(function() coroutine.wrap(function() while true do end end)() end)()",
  ],
  [
    "a loop in a metamethod",
    "local x = setmetatable({}, {__index = function() while true do end end}) return x.y",
  ],
  ["a loop in a sort comparator", "table.sort({3, 2, 1}, function() while true do end end)"],
  ["a loop in a gsub callback", "local s = ('x'):gsub('x', function() while true do end end)"],
  ["a pattern match that tries everything", "local s = ('a'):rep(2000):find(('.-'):rep(20) .. 'b')"],
  [
    "a loop in __close",
    "do local x <close> = setmetatable({}, {__close = function() while true do end end}) end",
  ],
  ["a goto loop", "::a:: goto a"],
  ["a recursion without end behind pcall", "local function f() pcall(f) return f() end f()"],
  ["a wait of the host", "nap(60)", " inside nap"],
  ["a wait of the host behind pcall", "while true do pcall(nap, 60) end", " inside nap"],
  ["a wait in a coroutine", "coroutine.wrap(function() nap(60) end)()", " inside nap"],
  ["a loop in what a call of the host calls", "t:assert_raises(function() while true do end end)"],
];

for (const [title, body, inside = ""] of LOOPS)
  test(`the deadline ends ${title}, and the next test runs`, () => {
    const told = run(
      `test("stuck", {timeout = "150ms"}, function(t) ${body} end)
test("next", function(t) local ok = pcall(error, "x") t:assert(not ok) nap(0) end)`,
      withNap,
    );
    expect(told.results).toEqual(["stuck: failed", "next: passed"]);
    expect(told.reason("stuck")).toBe(`the test's deadline of 150 ms has passed${inside}`);
    expect(told.of("test_failed")[0]?.detail.line).toBe(1);
    expect(told.outcome.status).toBe("failed");
  });

test("a classic sub-test that loops fails alone; the file goes on behind it", () => {
  const told = run(
    `test("stuck", {timeout = 0.1}, function() while true do end end)
test("next", function() assert(pcall(nap, 0)) end)
print("end")`,
    { ...withNap, dialect: "classic" },
  );
  expect(told.results).toEqual(["stuck: failed", "next: passed"]);
  expect(told.printed).toBe("end\n");
});

test("0 is no deadline: that around a test goes on to count", () => {
  expect(run(`test("a", {timeout = 0}, function() nap(0.05) end)`, withNap).results).toEqual(["a: passed"]);
  const deadlines = new Deadlines(
    0,
    () => undefined,
    () => {},
  );
  deadlines.armTest(0);
  expect(deadlines.clock).toBeUndefined();
  deadlines.armTest(60_000);
  deadlines.armTest(0);
  expect(deadlines.clock?.ms).toBe(60_000);
  deadlines.rearmTest(0, 0);
  expect(deadlines.clock).toBeUndefined();
});

test("the last resort of a deadline that nobody lives to see is bounded by what counts it", () => {
  const asked: number[] = [];
  const deadlines = new Deadlines(
    0,
    () => undefined,
    (seconds) => void asked.push(seconds),
  );
  deadlines.armTest(2 ** 32 * 1000);
  deadlines.clock = undefined;
  expect(asked).toEqual([2 ** 31, 0]);
});

test("the file's deadline ends the running test and skips the rest", () => {
  const told = run(
    `test("a", function() end) test("stuck", function() while true do pcall(nap, 60) end end) test("never", function() end)`,
    { ...withNap, job: { timeoutMs: 3_000 } },
  );
  expect(told.results).toEqual(["a: passed", "stuck: failed", "never: skipped"]);
  expect(told.reason("never")).toBe("file timed out: the file's deadline of 3 s has passed inside nap");
  expect(told.outcome).toEqual({
    status: "timed_out",
    clean: false,
    error: "the file's deadline of 3 s has passed inside nap",
  });
});

for (const [dialect, results] of [
  ["lab", ["a: skipped"]],
  ["classic", ["a: passed", "t: failed"]],
] as const)
  test(`a top level that loops ends at the file's deadline, in the ${dialect} dialect`, () => {
    const told = run(`test("a", function() end) while true do end`, { dialect, job: { timeoutMs: 2_000 } });
    expect(told.outcome.status).toBe("timed_out");
    expect(told.results).toEqual([...results]);
  });

test("an order to stop ends a loop and the file, and machines are ended at once", () => {
  const calls: string[] = [];
  let asked = 0;
  const told = run(`test("a", function() while true do end end) test("b", function() end)`, {
    host: {
      install: () => stubSurface(calls),
      stopped: () => (asked++ > 50 ? "interrupted" : undefined),
    },
  });
  expect(told.results).toEqual(["a: failed", "b: skipped"]);
  expect(told.reason("a")).toBe("interrupted");
  expect(told.reason("b")).toBe("interrupted");
  expect(calls).toContain("kill");
});

for (const [title, end] of [
  ["a deadline", "nap(60)"],
  ["an error", 'error("over")'],
  ["a skip", "t:skip()"],
  ["a return", "return"],
])
  test(`${title} ends the tasks of the test too: none goes on in the next one`, () => {
    const told = run(
      `test("first", {timeout = "100ms"}, function(t) go(function() repeat nap(0.15) until following print("late") end) ${end} end)
test("next", function() following = true nap(0.3) end)`,
      withTasks,
    );
    expect(told.results.at(-1)).toBe("next: passed");
    if (title === "a deadline")
      expect(told.reason("first")).toBe(
        "the test's deadline of 100 ms has passed inside nap; tasks beside it were inside nap",
      );
    expect(told.printed).toBe("");
  });

test("the failure of a task that nobody waits for fails its test", () => {
  const told = run(`test("a", function() go(function() error("lost") end) nap(0.01) end)`, withTasks);
  expect(told.reason("a")).toBe("t.test.lua:1: lost");
});

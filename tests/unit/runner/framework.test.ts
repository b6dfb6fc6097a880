import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run, stubSurface } from "./harness.ts";

test("lab bodies run after the top level, in order, each between its own scope's ends", () => {
  const calls: string[] = [];
  const told = run(
    `local order = {}
    test("a", function(t) print(#order, t.name) order[#order + 1] = "a" end)
    test("b", function(t) print(#order, t.name) end)
    print("top")`,
    { host: { install: () => stubSurface(calls) } },
  );
  expect(told.results).toEqual(["a: passed", "b: passed"]);
  expect(told.printed).toBe("top\n0\ta\n1\tb\n");
  expect(calls).toEqual([
    ...["begin", "enter a", "prepare", "leave"],
    // The file's VMs are put back before a test that follows another one.
    ...["restore", "enter b", "leave", "close"],
  ]);
  expect(told.outcome).toEqual({ status: "passed", clean: true, error: undefined });
  expect(told.events.map((event) => event.kind).slice(-1)).toEqual(["file_completed"]);
});

test("a failure carries file, line, source, traceback, log and console", () => {
  const told = run(`local function check(v)
  error("bad value " .. v)
end
test("f", function(t)
  t:log("before")
  check(7)
end)`);
  const [failed] = told.of("test_failed");
  expect(failed?.reason).toBe("t.test.lua:2: bad value 7");
  expect(failed?.detail.file).toBe("t.test.lua");
  expect(failed?.detail.line).toBe(2);
  expect(failed?.detail.source).toBe('error("bad value " .. v)');
  expect(failed?.detail.traceback).toContain("t.test.lua:6: in function <t.test.lua:4>");
  expect(failed?.log).toEqual(["before"]);
  expect(failed?.console_excerpt).toBe("[console] boot\n");
  expect(told.outcome.status).toBe("failed");
});

test("a failed t: assertion sticks although pcall has caught it", () => {
  const told = run(`test("s", function(t) pcall(t.assert_eq, t, 1, 2) end)
test("u", function(t)
  pcall(function() t:assert(false, "why") end)
  error("later")
end)`);
  expect(told.results).toEqual(["s: failed", "u: failed"]);
  expect(told.reason("s")).toContain("assertion failed: 1 ~= 2");
  expect(told.reason("u")).toBe("t.test.lua:3: why");
});

test("global assertions do not stick and assert behaves as Lua's own", () => {
  const told = run(`test("g", function(t)
  assert(not pcall(assert_eq, 1, 2))
  assert(not pcall(assert_contains, "abc", "d"))
  assert(select("#", assert(1, nil, 3)) == 3)
  local ok, value = pcall(assert, false, {code = 1})
  assert(not ok and value.code == 1)
  local _, text = pcall(assert, nil)
  assert(text == "assertion failed!", text)
  assert_eq({1, {x = "y"}}, {1, {x = "y"}})
  assert_contains("a.b", ".")
end)`);
  expect(told.results).toEqual(["g: passed"]);
});

test("assertion texts show both values and the caller's line", () => {
  const told = run(`
test("eq", function(t) t:assert_eq(1, "1", "types") end)
test("text", function(t) t:assert_eq("a", "b") end)
test("neq", function(t) t:assert_neq(3, 3) end)
test("contains", function(t) t:assert_contains("abc", "x") end)
test("plain", function(t) t:assert() end)
test("raises", function(t) t:assert_raises(function() end, "must") end)
test("fail", function(t) t:fail() end)
test("global", function(t) assert_eq({1}, {2}, "lists") end)`);
  const reasons = told.of("test_failed").map(({ reason }) => reason.replace(/^t\.test\.lua:/, ""));
  expect(reasons).toEqual([
    '2: types: 1 ~= "1"',
    "3: assertion failed: a ~= b",
    "4: assertion failed: 3 == 3",
    '5: assertion failed: "abc" does not contain "x"',
    "6: assertion failed",
    "7: must: expected to raise",
    "8: explicit failure (t:fail)",
    "9: lists: assert_eq: {1} ~= {2}",
  ]);
});

test("assert_raises gives the error value and forgets the assertion that failed inside", () => {
  const told = run(`test("r", function(t)
  local value = t:assert_raises(function() error({code = 4}) end)
  t:assert_eq(value.code, 4)
  t:assert_raises(function() t:assert(false) end)
end)`);
  expect(told.results).toEqual(["r: passed"]);
});

test("a non-string in assert_contains raises at once and names the limit", () => {
  const told = run(`test("n", function(t) t:assert_contains({}, "x") end)`);
  expect(told.reason("n")).toContain("slice 2 limit");
});

test("assert_contains searches texts, numbers and objects with a text, and no names of tables", () => {
  const told = run(`test("n", function(t)
  assert_contains("port 80", 80)
  assert_contains(setmetatable({}, {__tostring = function() return "a text" end}), "text")
  for _, value in ipairs({ {}, setmetatable({}, {}), print, true, t }) do
    t:assert_contains(t:assert_raises(function() assert_contains(value, "a") end), "bad argument #1 to 'assert_contains' (string expected, got ")
  end
  t:assert_contains(t:assert_raises(function() assert_contains("a") end), "#2 to 'assert_contains' (string expected, got no value)")
end)`);
  expect(told.results).toEqual(["n: passed"]);
});

test("skips: by the body, by metadata, by filters, each with its reason", () => {
  const told = run(
    `test("body", function(t) t:skip("no device") end)
test("caught", function(t) pcall(t.skip, t, "early") end)
test("true", {skip = true}, function() end)
test("text", {skip = "broken"}, function() end)
test("zero", {skip = 0, slow = 0, tags = "net"}, function() end)
test("slow", {slow = 1, tags = {"net"}}, function() end)
test("unwanted", {tags = {"net", "flaky"}}, function() end)
test("untagged", function() end)
test("todo", {tags = "net"}, function() todo("later") end)`,
    {
      job: {
        filter: {
          includeSlow: false,
          tags: ["net", "body"],
          noTags: ["flaky"],
          names: [],
          tagMeta: [],
          noTagMeta: [],
        },
      },
    },
  );
  const reasons = Object.fromEntries(told.of("test_skipped").map(({ name, reason }) => [name, reason]));
  expect(reasons).toEqual({
    body: "filtered: --tag net --tag body",
    caught: "filtered: --tag net --tag body",
    true: "skipped (meta.skip)",
    text: "skipped: broken",
    slow: "filtered: slow tests skipped (pass --include-slow)",
    unwanted: "filtered: --no-tag flaky",
    untagged: "filtered: --tag net --tag body",
    todo: "later",
  });
  expect(told.of("test_passed").map(({ name }) => name)).toEqual(["zero"]);
  const free = run(`test("body", function(t) t:skip("no device") end)
test("caught", function(t) pcall(t.skip, t, "early") end)`);
  expect(free.of("test_skipped").map(({ reason }) => reason)).toEqual(["no device", "early"]);
  expect(free.outcome.status).toBe("passed");
});

test("a skip reaches its test through coroutines and handlers, and hides no other error", () => {
  const told = run(`
test("wrapped", function(t) coroutine.wrap(function() t:skip("no device") end)() end)
test("todo", function(t) coroutine.wrap(function() todo("later") end)() end)
test("handled", function(t)
  local ok, message = xpcall(t.skip, debug.traceback, t, "no device")
  error(message)
end)
test("other", function(t)
  pcall(t.skip, t, "no device")
  error("broken")
end)
test("parts", function(t)
  t:subtest("wrapped", function(part) coroutine.wrap(function() part:skip("no device") end)() end)
  t:subtest("other", function(part)
    pcall(part.skip, part, "no device")
    error("broken")
  end)
end)`);
  expect(told.results).toEqual([
    "wrapped: skipped",
    "todo: skipped",
    "handled: skipped",
    "other: failed",
    "parts/wrapped: skipped",
    "parts/other: failed",
    "parts: failed",
  ]);
  expect(told.reason("handled")).toBe("no device");
});

test("every skipped test has started, with its metadata", () => {
  const told = run(`test("x", {skip = true, spec = "3.1"}, function() end)`);
  expect(told.of("test_started")).toEqual([
    { path: "t.test.lua", name: "x", meta: { skip: true, spec: "3.1" } },
  ]);
});

test("metadata behind the function is refused: it would not hold", () => {
  const told = run(`\ntest("late", function() error("unreached") end, {skip = true})`);
  expect(told.outcome.error).toBe(
    "t.test.lua:2: bad argument #3 to 'test' (meta: the table comes before the function, test(name, meta, fn))",
  );
  expect(told.results).toEqual([]);
});

test("metadata keeps its types and sorts its keys", () => {
  const told = run(
    `test("m", {b = 1.5, a = 2^53 // 1 | 0, list = {"x", "y"}, map = {k = true}, raw = "\\xff", f = 2.0}, function() end)`,
  );
  expect(told.of("test_passed")[0]?.meta).toEqual({
    a: 9007199254740992n,
    b: 1.5,
    f: 2,
    list: ["x", "y"],
    map: { k: true },
    raw: new Uint8Array([255]),
  });
  expect(run(`test("bad", {f = print}, function() end)`).outcome.error).toContain(
    "meta.f: a function cannot be stored",
  );
});

test("todo at the top level of a lab file skips every test and loads on", () => {
  const told = run(`todo("wip") test("a", {spec = "1"}, function() error("no") end) print("loaded")`);
  expect(told.results).toEqual(["a: skipped"]);
  expect(told.reason("a")).toBe("wip");
  expect(told.printed).toBe("loaded\n");
});

test("a duplicate name is an error of a lab file at the second declaration", () => {
  const told = run(`test("foo", function() end)\ntest("foo", function() end)`);
  expect(told.outcome.error).toBe("t.test.lua:2: test: duplicate name `foo` in this file");
  expect(told.results).toEqual(["foo: skipped"]);
  expect(told.outcome.status).toBe("failed");
});

test("an error at the top level of a lab file fails the file with its place", () => {
  const told = run(`local x = nil\nx.y = 1`);
  expect(told.outcome.status).toBe("failed");
  const [completed] = told.of("file_completed");
  expect(completed?.error).toContain("t.test.lua:2: attempt to index a nil value (local 'x')");
  expect(completed?.detail).toMatchObject({ file: "t.test.lua", line: 2, source: "x.y = 1" });
});

test("a syntax error names file and line, in both dialects", () => {
  expect(run("x = 1\ny = = 2").outcome.error).toBe("t.test.lua:2: unexpected symbol near '='");
  const classic = run("x = 1\ny = = 2", { dialect: "classic" });
  expect(classic.outcome.error).toBe("t.lua:2: unexpected symbol near '='");
  expect(classic.of("file_completed")[0]?.detail).toMatchObject({
    file: "t.lua",
    line: 2,
    source: "y = = 2",
  });
});

test("a repetition of a classic file is the test that the file is", () => {
  expect(run("assert(true)", { dialect: "classic", job: { path: "t.lua #2" } }).results).toEqual([
    "t: passed",
  ]);
});

test("classic tests run at once, a failure stays inside, and names repeat with a number", () => {
  const told = run(
    `local n = 0
test("a", function() n = n + 1 error("inside") end)
print(n)
test("a", function(t) assert(t.name == "a #2", t.name) end)
test("later", function() todo() end)
print("end")`,
    { dialect: "classic" },
  );
  expect(told.results).toEqual(["a: failed", "a #2: passed", "later: skipped"]);
  expect(told.printed).toBe("1\nend\n");
  expect(told.reason("later")).toBe("todo");
  expect(told.outcome.status).toBe("failed");
});

test("no two classic tests go by one name, whatever they are called", () => {
  const names = ["a", "b #2", "a", "a #2", "b", "b"];
  const text = names.map((name) => `test("${name}", function() end)`).join("\n");
  const called = ["a", "b #2", "a #2", "a #2 #2", "b", "b #3"];
  expect(run(text, { dialect: "classic" }).results).toEqual(called.map((name) => `${name}: passed`));
});

test("a classic file without tests is one test named after itself", () => {
  expect(run(`assert(true)`, { dialect: "classic" }).results).toEqual(["t: passed"]);
  const failed = run(`local a = 1\nassert_eq(a, 2)`, { dialect: "classic" });
  expect(failed.results).toEqual(["t: failed"]);
  expect(failed.reason("t")).toBe("t.lua:2: assert_eq: 1 ~= 2");
});

test("a filter leaves a classic file without tests out, unrun where none can be declared", () => {
  const filter = { includeSlow: false, tags: ["net"], noTags: [], names: [], tagMeta: [], noTagMeta: [] };
  const filtered = (text: string) => run(text, { dialect: "classic", job: { filter } });
  const plain = filtered(`local probe = require("no.such.probe")\nerror("unreached")`);
  expect(plain.results).toEqual(["t: skipped"]);
  expect(plain.reason("t")).toBe("filtered: --tag net");
  expect(plain.outcome.status).toBe("passed");
  // Only a run can tell what declares tests under another name.
  for (const text of ["local declare = _G['te' .. 'st']", "require(({'string'})[1])", "load('return 1')()"])
    expect(filtered(`${text}\nprint("ran")`)).toMatchObject({ results: ["t: skipped"], printed: "ran\n" });
  const tagged = filtered(`test("a", {tags = "net"}, function() end) test("b", function() end)`);
  expect(tagged.results).toEqual(["a: passed", "b: skipped"]);
  const named = { ...filter, tags: [], names: ["t"] };
  expect(run("", { dialect: "classic", job: { filter: named } }).results).toEqual(["t: passed"]);
});

test("a module that declares tests lets its file run although a filter is there", () => {
  const directory = mkdtempSync(join(tmpdir(), "provium-unit-"));
  writeFileSync(
    join(directory, "suite.lua"),
    'return function() test("a", {tags = "net"}, function() end) end',
  );
  writeFileSync(join(directory, "probe.lua"), "return 1");
  const filter = { includeSlow: false, tags: ["net"], noTags: [], names: [], tagMeta: [], noTagMeta: [] };
  const job = { filter, roots: [directory] };
  expect(run('require("suite")()', { dialect: "classic", job }).results).toEqual(["a: passed"]);
  expect(run('require("probe") error("unreached")', { dialect: "classic", job }).results).toEqual([
    "t: skipped",
  ]);
  rmSync(directory, { recursive: true });
});

test("a top-level error of a classic file adds a failed entry of the file's name", () => {
  const told = run(`test("a", function() end)\nerror("late")`, { dialect: "classic" });
  expect(told.results).toEqual(["a: passed", "t: failed"]);
});

test("todo at the top level of a classic file stops it and skips it", () => {
  const told = run(`todo("not yet")\nerror("unreached")`, { dialect: "classic" });
  expect(told.results).toEqual(["t: skipped"]);
  expect(told.reason("t")).toBe("not yet");
  expect(told.outcome.status).toBe("passed");
  const after = run(`test("a", function() end) todo() error("unreached")`, { dialect: "classic" });
  expect(after.results).toEqual(["a: passed"]);
});

test("classic files have the names of Lua 5.1", () => {
  const told = run(
    `assert(unpack({1, 2}) == 1 and loadstring("return 3")() == 3 and table.getn({1, 2}) == 2)`,
    { dialect: "classic" },
  );
  expect(told.results).toEqual(["t: passed"]);
});

test("parts of a test have results of their own and a failed part fails the test", () => {
  const told = run(`test("p", function(t)
  t:assert(t:subtest("one", function(t) t:log("x") end))
  t:assert_eq(t:subtest("two", function(t) error("oh") end), false)
  print("went on")
  local counts = t:ktap("TAP version 14\\n1..3\\nok 1 - first\\nnot ok 2 second\\n  ok 3 third # SKIP no hw\\n")
  print(counts.passed, counts.failed, counts.skipped)
end)`);
  expect(told.results).toEqual([
    "p/one: passed",
    "p/two: failed",
    "p/first: passed",
    "p/second: failed",
    "p/third: skipped",
    "p: failed",
  ]);
  expect(told.printed).toBe("went on\n1\t1\t1\n");
  expect(told.reason("p")).toContain("subtest `two` failed: t.test.lua:3: oh");
});

test("wrong arguments of test are refused with their position", () => {
  expect(run(`\ntest("x")`).outcome.error).toBe(
    "t.test.lua:2: bad argument #2 to 'test' (fn: function expected, got no value)",
  );
  expect(run(`test("x", function() test("y", function() end) end)`).reason("x")).toContain(
    "declared while tests run",
  );
});

test("print and io.write become events, binary data included", () => {
  const told = run(`print("a\\0b", 1, nil, 2.0) io.write("x", 5, "\\n") print("\\xff\\xfe")`);
  expect(told.printed).toBe("a\0b\t1\tnil\t2.0\nx5\n\ufffd\ufffd\n");
});

test("an error object that never becomes text ends its test at the deadline, and the next one runs", () => {
  const told = run(`local loop = setmetatable({}, { __tostring = function() while true do end end })
test("a", { timeout = "50ms" }, function() error(loop) end)
test("b", { timeout = "50ms" }, function() coroutine.wrap(function() error(loop) end)() end)
test("c", function() end)`);
  const reason = "the test's deadline of 50 ms has passed";
  expect(told.of("test_failed").map((failed) => failed.reason)).toEqual([reason, reason]);
  expect(told.results).toContain("c: passed");
});

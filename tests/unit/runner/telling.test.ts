/** What a failure and an attachment carry for reports. */

import { expect, test } from "bun:test";
import { run } from "./harness.ts";

test("a failed comparison carries both values line by line and the place of the call", () => {
  const told = run(`local a = 1
test("f", function(t)
  -- before
  if a then t:assert_eq({1, x = {y = "z"}}, {2}) end
  -- after
end)`);
  const detail = told.of("test_failed")[0]?.detail;
  expect(detail?.comparison).toEqual({
    left_name: "first",
    left: '{\n  1,\n  x = {\n    y = "z",\n  },\n}',
    right_name: "second",
    right: "{\n  2,\n}",
  });
  expect(detail?.excerpt).toEqual({
    first_line: 2,
    lines: [
      'test("f", function(t)',
      "  -- before",
      '  if a then t:assert_eq({1, x = {y = "z"}}, {2}) end',
      "  -- after",
      "end)",
    ],
    column: 15,
  });
});

test("the global assertion names expected and actual, and texts of several lines stand as they are", () => {
  const told = run(`test("f", function(t) assert_eq("a\\nb\\n", "a\\nc\\n") end)`);
  expect(told.of("test_failed")[0]?.detail.comparison).toEqual({
    left_name: "expected",
    left: "a\nb\n",
    right_name: "actual",
    right: "a\nc\n",
  });
});

test("values without end are cut, and a table that holds itself ends", () => {
  const told = run(`test("f", function(t)
    local big, round = {}, {}
    for i = 1, 100000 do big[i] = i end
    round.me = round
    assert_eq(big, round)
  end)`);
  const comparison = told.of("test_failed")[0]?.detail.comparison;
  expect(comparison?.left.split("\n").length).toBeLessThan(500);
  expect(comparison?.right).toContain("{...}");
});

test("parts of a test name the test that they are a part of", () => {
  const told = run(`test("whole", function(t)
    t:subtest("inner", function(t) t:subtest("innermost", function() end) end)
    t:ktap("ok 1 line")
  end)`);
  expect(told.of("test_started").map(({ name, parent }) => [name, parent])).toEqual([
    ["whole", undefined],
    ["whole/inner", "whole"],
    ["whole/inner/innermost", "whole/inner"],
    ["whole/line", "whole"],
  ]);
});

test("attachments carry their bytes, and their kind by name or content", () => {
  const told = run(`test("f", function(t)
    t:attach("a.png", "\\x89PNG")
    t:attach("notes", "plain words")
    t:attach("raw", "\\xff\\0")
    t:attach("page", "<p>", { media_type = "text/html" })
  end)`);
  expect(told.results).toEqual(["f: passed"]);
  expect(told.of("attachment").map((it) => [it.test, it.name, it.media_type, it.data.byteLength])).toEqual([
    ["f", "a.png", "image/png", 4],
    ["f", "notes", "text/plain", 11],
    ["f", "raw", "application/octet-stream", 2],
    ["f", "page", "text/html", 3],
  ]);
});

test("an attachment that is too large is refused by name and size", () => {
  const told = run(`test("f", function(t) t:attach("core", ("x"):rep(16 * 1024 * 1024 + 1)) end)`, {
    job: { luaMemoryMb: 256 },
  });
  expect(told.reason("f")).toContain("t:attach: `core` has 16777217 bytes; at most 16777216 can be kept");
  expect(told.of("attachment")).toEqual([]);
});

test("an option that an attachment does not have is named", () => {
  const told = run(`test("f", function(t) t:attach("a", "b", { mediatype = "text/html" }) end)`);
  expect(told.reason("f")).toContain("attach: opts: unknown key 'mediatype'");
  expect(told.of("attachment")).toEqual([]);
});

test("names and reasons are cut before they fill an event, and what is behind them still runs", () => {
  const told = run(
    `local long = ("x"):rep(1024 * 1024)
test("skipped", function(t) t:skip(long) end)
test("parts", function(t) t:subtest(long, function(t) error("no") end) end)
test("lines", function(t) t:ktap("not ok 1 " .. long .. "\\nok 2 a # SKIP " .. long) end)
test(long, function() end)
test("next", function() end)`,
    { job: { luaMemoryMb: 256 } },
  );
  expect(told.results.at(-1)).toBe("next: passed");
  for (const { kind, payload } of told.events) {
    if (!kind.startsWith("test_")) continue;
    expect(String(payload.name).length).toBeLessThan(1100);
    expect(String(payload.reason).length).toBeLessThan(70_000);
  }
});

test("a seed repeats the random numbers of a file, and files differ", () => {
  const text = `test("f", function(t) print(math.random(1 << 60)) end)`;
  const printed = (seed: bigint, name = "a.test.lua"): string => run(text, { name, job: { seed } }).printed;
  expect(printed(7n)).toBe(printed(7n));
  expect(printed(7n)).not.toBe(printed(8n));
  expect(printed(7n)).not.toBe(printed(7n, "b.test.lua"));
});

test("only the named test runs, the others say which filter left them out", () => {
  const told = run(`test("a", function() end) test("b", function() end)`, {
    job: { filter: { includeSlow: false, tags: [], noTags: [], names: ["b"], tagMeta: [], noTagMeta: [] } },
  });
  expect(told.results).toEqual(["a: skipped", "b: passed"]);
  expect(told.reason("a")).toBe("filtered: --test b");
});

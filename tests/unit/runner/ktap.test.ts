import { expect, test } from "bun:test";
import { ktapResults } from "../../../src/runner/ktap.ts";

test("result lines of both dialects", () => {
  const text = `KTAP version 1
1..6
    ok 1 - inner
[   12.345678] not ok 2 suite # some remark
ok 3 # SKIP no such device
ok 4 - slow # TIMEOUT 45 seconds
not ok - nameless number # TODO later
ok
okay 7 is no result
`;
  expect(ktapResults(text).map(({ name, outcome, reason }) => [name, outcome, reason])).toEqual([
    ["inner", "passed", "ok 1 - inner"],
    ["suite # some remark", "failed", "[   12.345678] not ok 2 suite # some remark"],
    ["#3", "skipped", "no such device"],
    ["slow", "passed", "ok 4 - slow # TIMEOUT 45 seconds"],
    ["nameless number", "skipped", "later"],
    ["#6", "passed", "ok"],
  ]);
});

test("no control character hides a failure", () => {
  const names = ["a\r", "b\rc", "d\u2028e", "f\u0085g", "\u2029h"];
  const text = names.map((name, i) => `not ok ${i + 1} - ${name}\r\n`).join("");
  const found = ktapResults(text);
  expect(found.map(({ outcome }) => outcome)).toEqual(names.map(() => "failed"));
  expect(found[0]?.name).toBe("a");
});

test("more results than anybody prints in earnest are refused", () => {
  expect(ktapResults("ok\n".repeat(100_000))).toHaveLength(100_000);
  expect(() => ktapResults("ok\n".repeat(100_001))).toThrow("more than 100000 result lines");
});

// Each takes milliseconds; where a pattern tries every place anew it would be hours.
test.each([
  ["blanks behind ok", `ok${" ".repeat(1 << 20)}x\u2028`],
  ["blanks in a name", `ok 1 a${" ".repeat(1 << 20)}x`],
  ["blanks in front", `${" ".repeat(1 << 20)}x`],
  ["digits of a time", `[${"1".repeat(1 << 20)} ok`],
  ["digits of a number", `ok ${"1".repeat(1 << 20)}x`],
  ["hashes", `ok 1 ${"# ".repeat(1 << 19)}`],
])("a long line takes no more than its length: %s", (_what, line) => {
  expect(ktapResults(`${line}\nnot ok 2 last`).at(-1)?.name).toBe("last");
});

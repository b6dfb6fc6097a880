import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { longestFirst, readTimings, writeTimings } from "../../../src/dispatch/timings.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "provium-test-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

test("what a run measured is added to what was known", () => {
  const file = join(directory, "deep", "timings.json");
  writeTimings(
    file,
    new Map([
      ["/a", 10.4],
      ["/b", 20],
    ]),
  );
  writeTimings(file, new Map([["/a", 30]]));
  expect([...readTimings(file)]).toEqual([
    ["/b", 20],
    ["/a", 30],
  ]);
});

test("a state file of any kind of garbage counts as none, and is replaced", () => {
  const file = join(directory, "timings.json");
  for (const text of [
    "",
    "{",
    "null",
    "[1]",
    '{"files":7}',
    "\u0000\u0001",
    '{"files":{"/a":"x","/b":-1}}',
  ]) {
    writeFileSync(file, text);
    expect(readTimings(file).size, text).toBe(0);
  }
  writeTimings(file, new Map([["/a", 5]]));
  expect(readTimings(file).get("/a")).toBe(5);
});

test("a place that cannot be written is an error of one line, and one that cannot be read counts as none", () => {
  const file = join(directory, "taken");
  mkdirSync(file);
  expect(readTimings(file).size).toBe(0);
  expect(() => writeTimings(file, new Map([["/a", 5]]))).toThrow(/taken cannot be written \(EISDIR\)/);
  writeFileSync(join(directory, "plain"), "");
  const below = join(directory, "plain/deep/timings.json");
  expect(() => writeTimings(below, new Map([["/a", 5]]))).toThrow(
    /timings.json cannot be written \(ENOTDIR\)/,
  );
});

test("the longest file comes first; one without a time stands in the middle", () => {
  const times: Readonly<Record<string, number>> = { short: 1, long: 100, middle: 50 };
  expect(longestFirst(["short", "new", "middle", "long", "newer"], (name) => times[name])).toEqual([
    "long",
    "new",
    "middle",
    "newer",
    "short",
  ]);
  expect(longestFirst(["b", "a"], () => undefined)).toEqual(["b", "a"]);
});

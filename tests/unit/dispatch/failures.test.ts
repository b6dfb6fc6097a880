import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readFailures, writeFailures } from "../../../src/dispatch/failures.ts";

let directory: string;
let file: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "provium-test-"));
  file = join(directory, "rerun.json");
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const known = (): string[] => [...(readFailures(file) ?? [])];

test("failures are noted, a clean run leaves the note alone, and other files' failures stay", () => {
  expect(readFailures(file)).toBeUndefined();
  writeFailures(file, new Set(["/a", "/b"]), new Set(["/b"]));
  writeFailures(file, new Set(["/b"]), new Set());
  expect(known()).toEqual(["/b"]);
  writeFailures(file, new Set(["/c"]), new Set(["/c"]));
  expect(known()).toEqual(["/b", "/c"]);
  writeFailures(file, new Set(["/b", "/d"]), new Set(["/d"]));
  expect(known()).toEqual(["/c", "/d"]);
});

test("garbage is an error of one line when it is read, and replaced when something is noted", () => {
  for (const text of ["{", "null", "[]", '{"failed":"x"}', '{"failed":[1]}']) {
    writeFileSync(file, text);
    expect(() => readFailures(file), text).toThrow(/rerun\.json (is not JSON|holds no list of failed files)/);
    writeFailures(file, new Set(["/a"]), new Set(["/a"]));
    expect(known()).toEqual(["/a"]);
  }
});

test("a link that somebody has put there is replaced and not followed, and no draft stays behind", () => {
  const victim = join(directory, "victim");
  writeFileSync(victim, "precious");
  symlinkSync(victim, file);
  writeFailures(file, new Set(["/a"]), new Set(["/a"]));
  expect(known()).toEqual(["/a"]);
  expect(readFileSync(victim, "utf8")).toBe("precious");
  expect(readdirSync(directory).sort()).toEqual(["rerun.json", "victim"]);
});

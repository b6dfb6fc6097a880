import { afterEach, beforeEach, expect, test } from "bun:test";
import { linkSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeWhole } from "../../../src/sys/whole-file.ts";

let directory: string;
const at = (name: string): string => join(directory, name);
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "provium-whole-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

test("a file is replaced and not written into, and its directory is made", () => {
  writeWhole(at("deep/file"), "old");
  linkSync(at("deep/file"), at("reader"));
  writeWhole(at("deep/file"), "new");
  expect([readFileSync(at("deep/file"), "utf8"), readFileSync(at("reader"), "utf8")]).toEqual(["new", "old"]);
  expect(readdirSync(at("deep"))).toEqual(["file"]);
});

test.each([
  ["below a file", "plain/file", "EEXIST"],
  ["in place of a directory", "taken", "EISDIR"],
])("a place %s is the system's error, and nothing is left there", (_, name, code) => {
  writeFileSync(at("plain"), "");
  mkdirSync(at("taken"));
  expect(() => writeWhole(at(name), "x")).toThrow(code);
  expect(readdirSync(directory).sort()).toEqual(["plain", "taken"]);
});

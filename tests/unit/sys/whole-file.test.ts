import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  closeSync,
  constants,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
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

/** Overlays of Linux before 6.1 have no files without names, for one. */
const hasUnnamedFiles = (): boolean => {
  try {
    closeSync(openSync(tmpdir(), 0o20000000 | constants.O_DIRECTORY | constants.O_WRONLY));
    return true;
  } catch {
    return false;
  }
};

test.skipIf(!hasUnnamedFiles())("a writer that is killed while it writes leaves nothing", () => {
  const code = `const fs = require("node:fs");
    const { writeFileSync } = fs;
    fs.writeFileSync = (file, data, how) => {
      writeFileSync(file, data.subarray(1), how);
      process.kill(process.pid, "SIGKILL");
    };
    require("${resolve("src/sys/whole-file.ts")}").writeWhole("${at("file")}", new Uint8Array(2 ** 20));`;
  const writer = Bun.spawnSync([process.execPath, "-e", code]);
  expect(writer.signalCode).toBe("SIGKILL");
  expect(readdirSync(directory)).toEqual([]);
});

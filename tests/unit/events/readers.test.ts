/** The readers of docs/events.md, each run where its interpreter and library exist. */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { encodeFrame } from "../../../src/events/frame.ts";

const root = resolve(import.meta.dir, "../../..");
const manual = readFileSync(join(root, "docs/events.md"), "utf8");
let directory = "";
let stream: Uint8Array;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "provium-readers-"));
  symlinkSync(join(root, "node_modules"), join(directory, "node_modules"));
  const meta = { tags: ["a"], bytes: Uint8Array.of(255), big: 2n ** 60n, ratio: 0.5, none: null, no: false };
  const file = (path: string, status: string, ms: number) => ({
    ts: 1_700_000_000_000_000_000n,
    kind: "file_completed",
    payload: {
      status,
      detail: { lines: Array(20).fill("x".repeat(300)) },
      path,
      duration_ns: ms * 1_000_000,
    },
  });
  stream = Buffer.concat(
    [
      { ts: 1n, kind: "test_started", payload: { path: "a.test.lua", name: "one", meta } },
      file("a.test.lua", "passed", 7),
      file("dir/b.test.lua", "timed_out", 300_000),
    ].map((event) => encodeFrame(event)),
  );
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const EXPECTED = "a.test.lua passed 7 ms\ndir/b.test.lua timed_out 300000 ms\n";

/** Writes the example of a language into a file of its own. */
const example = (language: string, name: string): string => {
  const code = new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``).exec(manual)?.[1];
  if (code === undefined) throw new Error(`docs/events.md has no reader in ${language}`);
  const path = join(directory, name);
  writeFileSync(path, code);
  return path;
};

const told = (...command: string[]): string => {
  const { stdout, stderr } = Bun.spawnSync(command, { stdin: stream, stdout: "pipe", stderr: "pipe" });
  return stdout.toString() + stderr.toString();
};

test("the reader in C prints a line for each file", () => {
  const program = join(directory, "reader");
  const flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined"];
  expect(told("gcc", ...flags, "-o", program, example("c", "reader.c"))).toBe("");
  expect(told(program)).toBe(EXPECTED);
});

test("the reader in JavaScript prints a line for each file", () => {
  const program = example("javascript", "reader.mjs");
  expect(told(process.execPath, program)).toBe(EXPECTED);
  if (Bun.which("node") === null) console.log("node is not installed: the reader ran under Bun only");
  else expect(told("node", program)).toBe(EXPECTED);
});

test("the reader in Python prints a line for each file", () => {
  const program = example("python", "reader.py");
  // Debian's package serves Debian's Python, which need not be the first in PATH.
  const python = ["python3", "/usr/bin/python3"].find(
    (name) => Bun.which(name) !== null && Bun.spawnSync([name, "-c", "import msgpack"]).exitCode === 0,
  );
  if (python === undefined) {
    console.log("no python3 with the package msgpack: the reader in Python was not run");
    expect(manual).toContain("import msgpack");
    return;
  }
  expect(told(python, program)).toBe(EXPECTED);
});

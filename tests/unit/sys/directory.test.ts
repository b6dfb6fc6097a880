import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HostError } from "../../../src/errors/errors.ts";
import { RunDirectory, runBase, sweepDeadRuns } from "../../../src/sys/directory.ts";
import { FileLock } from "../../../src/sys/lock.ts";

const PREFIX = `provium-${process.getuid?.()}-`;
let base: string;

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "provium-test-"));
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

/** A directory as a run leaves it that was killed. */
const deadRun = (name: string): string => {
  const path = join(base, PREFIX + name);
  mkdirSync(join(path, "file-1"), { recursive: true });
  writeFileSync(join(path, "lock"), "");
  return path;
};

describe("run directories", () => {
  test("a run directory is private and gone after close", () => {
    const run = RunDirectory.open(base);
    expect(statSync(run.path).mode & 0o777).toBe(0o700);
    expect(statSync(run.make("a")).mode & 0o777).toBe(0o700);
    run.close();
    run.close();
    expect(existsSync(run.path)).toBe(false);
  });

  test("a process that may have but one descriptor more removes its run's directory", () => {
    const script = `
      import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
      import { dlopen, ptr } from "bun:ffi";
      import { RunDirectory } from "${process.cwd()}/src/sys/directory.ts";
      const run = RunDirectory.open("${base}");
      mkdirSync(run.make("file-1") + "/a/b/c", { recursive: true });
      writeFileSync(run.path + "/file-1/a/b/c/d", "");
      const { setrlimit } = dlopen("libc.so.6", { setrlimit: { args: ["i32", "ptr"], returns: "i32" } }).symbols;
      const open = new Set(readdirSync("/proc/self/fd").map(Number));
      let free = 0;
      while (open.has(free)) free++;
      const most = BigInt(free + 1);
      if (setrlimit(7, ptr(BigUint64Array.of(most, most))) !== 0) throw new Error("setrlimit");
      run.close();
    `;
    const { stderr } = Bun.spawnSync([process.execPath, "-e", script]);
    expect(stderr.toString()).toBe("");
    expect(readdirSync(base)).toEqual([]);
  });

  test("the sweep removes dead runs and leaves live ones", () => {
    using live = RunDirectory.open(base);
    const dead = deadRun("dead");
    expect(sweepDeadRuns(base)).toEqual([dead]);
    expect(existsSync(live.path)).toBe(true);
  });

  test("the sweep follows no link and touches no foreign name", () => {
    const precious = join(base, "precious");
    mkdirSync(precious);
    writeFileSync(join(precious, "lock"), "");
    symlinkSync(precious, join(base, `${PREFIX}link`));
    mkdirSync(join(base, "provium-4294967290-x"));
    const dead = deadRun("dead");
    symlinkSync(precious, join(dead, "inner"));
    expect(sweepDeadRuns(base)).toEqual([dead]);
    expect(existsSync(join(precious, "lock"))).toBe(true);
    expect(existsSync(join(base, "provium-4294967290-x"))).toBe(true);
  });

  test("a directory without lock is swept only when it is old", () => {
    const path = join(base, `${PREFIX}half`);
    mkdirSync(path);
    expect(sweepDeadRuns(base)).toEqual([]);
    utimesSync(path, 1, 1);
    expect(sweepDeadRuns(base)).toEqual([path]);
  });

  test("a base that cannot be written is an error with a hint", () => {
    writeFileSync(join(base, "file"), "");
    expect(() => RunDirectory.open(join(base, "file", "below"))).toThrow(HostError);
  });

  test("the base is PROVIUM_TMPDIR before XDG_RUNTIME_DIR", () => {
    expect(runBase({ PROVIUM_TMPDIR: "/a", XDG_RUNTIME_DIR: base })).toBe("/a");
    expect(runBase({ XDG_RUNTIME_DIR: base })).toBe(base);
  });

  test("an XDG_RUNTIME_DIR that is missing, no directory or another user's is passed over", () => {
    const root = process.getuid?.() === 0;
    writeFileSync(join(base, "file"), "");
    mkdirSync(join(base, "theirs"));
    if (root) chownSync(join(base, "theirs"), 65534, 65534);
    const theirs = root ? join(base, "theirs") : "/";
    for (const path of ["", join(base, "missing"), join(base, "file"), join(base, "file/below"), theirs])
      expect(runBase({ XDG_RUNTIME_DIR: path })).toBe(tmpdir());
  });
});

describe("file locks", () => {
  test("a lock is held by one at a time", () => {
    const path = join(base, "l");
    const first = FileLock.attempt(path);
    expect(first).toBeDefined();
    expect(FileLock.attempt(path)).toBeUndefined();
    first?.close();
    const second = FileLock.attempt(path);
    expect(second).toBeDefined();
    second?.close();
  });

  test("a link in place of the lock file is refused", () => {
    symlinkSync(join(base, "elsewhere"), join(base, "l"));
    expect(() => FileLock.attempt(join(base, "l"))).toThrow("ELOOP");
    expect(existsSync(join(base, "elsewhere"))).toBe(false);
  });
});

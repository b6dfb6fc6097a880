import { afterAll, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const directory = mkdtempSync(join(tmpdir(), "provium-test-"));
afterAll(() => rmSync(directory, { recursive: true }));
const AGAIN = resolve("tests/again/run.ts");

/** A repository whose `make test` notes where it ran. */
const repository = (name: string, recipe: string): string => {
  const path = join(directory, name);
  mkdirSync(path);
  writeFileSync(join(path, "Makefile"), `test:\n\t@pwd >> ${path}.ran\n\t@${recipe}\n`);
  const git = (...words: string[]) => {
    const { stderr, success } = Bun.spawnSync(
      ["git", "-c", "user.name=a", "-c", "user.email=a@b", ...words],
      {
        cwd: path,
      },
    );
    if (!success) throw new Error(stderr.toString());
  };
  git("init", "-q");
  git("add", ".");
  git("commit", "-qm", "one");
  return path;
};

const again = (path: string, times: string, lanes: string) => {
  const { stdout, stderr, exitCode } = Bun.spawnSync([process.execPath, AGAIN, times], {
    cwd: path,
    env: { ...process.env, LANES: lanes, TMPDIR: directory },
  });
  const ran = existsSync(`${path}.ran`) ? readFileSync(`${path}.ran`, "utf8").trim().split("\n") : [];
  return { said: stdout.toString(), complained: stderr.toString(), exitCode, ran };
};

test("make test runs so often, in as many clones as lanes, which are removed", () => {
  const path = repository("green", "echo 3 passed, 0 failed");
  writeFileSync(join(path, "more"), "");
  const { said, complained, exitCode, ran } = again(path, "5", "2");
  expect(exitCode).toBe(0);
  expect(said).toContain("3 passed, 0 failed");
  expect(said).toContain("5 of 5 green, 2 at a time");
  expect(complained).toContain("what is not committed is left out");
  expect(ran).toHaveLength(5);
  expect(new Set(ran).size).toBe(2);
  for (const clone of ran) expect(existsSync(clone)).toBe(false);
  expect(readdirSync(join(path, "build/again")).sort()).toEqual([
    "1.log",
    "2.log",
    "3.log",
    "4.log",
    "5.log",
  ]);
});

test("one red run among green ones is told with its log, and is the verdict", () => {
  const once = join(directory, "once");
  const path = repository("red", `mkdir ${once} 2>/dev/null || { echo 1 failed; exit 1; }`);
  const { said, exitCode } = again(path, "2", "1");
  expect(exitCode).toBe(1);
  expect(said).toContain(`RED, see ${join(path, "build/again/2.log")}`);
  expect(said).toContain("1 of 2 green");
});

test("what is no number is refused, before anything is cloned", () => {
  const path = repository("wrong", "true");
  for (const [times, lanes] of [
    ["0", "1"],
    ["many", "1"],
    ["1", "-2"],
  ] as const) {
    const { exitCode, complained, ran } = again(path, times, lanes);
    expect([exitCode, ran]).toEqual([2, []]);
    expect(complained).toContain("is no number of them");
  }
});

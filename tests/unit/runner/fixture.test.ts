import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SessionHost } from "../../../src/runner/chunk.ts";
import { buildFixture } from "../../../src/runner/fixture.ts";
import type { Job } from "../../../src/runner/protocol.ts";
import { Reactor } from "../../../src/sys/reactor.ts";
import { jobOf, stubSurface } from "./harness.ts";

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "provium-test-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const put = (name: string, text: string): string => {
  writeFileSync(join(root, name), text);
  return join(root, name);
};

const build = (text: string, job: Partial<Job> = {}, host: Partial<SessionHost> = {}) => {
  const file = put("f.fixture.lua", text);
  const own = join(root, "own");
  mkdirSync(own, { recursive: true });
  const calls: string[] = [];
  const told: string[] = [];
  const outcome = buildFixture(
    { ...jobOf(file, "f.fixture.lua", root), directory: own, ...job },
    "/staging",
    {
      reactor: new Reactor(),
      emit: (kind, payload) => void told.push(`${kind} ${(payload as { text?: string }).text}`),
      stopped: () => undefined,
      install: () => stubSurface(calls),
      ...host,
    },
  );
  return { ...outcome, calls, told };
};

describe("the file of a fixture", () => {
  test("runs once, what it returns is snapshotted, and its machines end without ceremony", () => {
    const { built, calls, told } = build("print('hello') return 1");
    expect(built).toMatchObject({ kind: "vm", snapshot: "/staging/vm" });
    expect(calls).toEqual(["result 1", "kill", "close"]);
    expect(told).toEqual(["output hello\n"]);
  });

  test("has no tests and no todo", () => {
    for (const name of ["test", "todo"]) {
      const { error, built } = build(`${name}("x", function() end)`);
      expect(error).toContain(`f.fixture.lua:1: ${name}: a fixture has no tests`);
      expect(error?.split("Tests go into the file that uses it.")).toHaveLength(2);
      expect(built).toBeUndefined();
    }
  });

  test("fails with place and traceback when it raises, cannot be read as Lua, or loses a task", () => {
    expect(build("local function f() error('boom') end\nf()").error).toMatch(
      /^f\.fixture\.lua:1: boom\nstack traceback:\n.*f\.fixture\.lua:1.*\n.*f\.fixture\.lua:2/,
    );
    expect(build("local = 1").error).toContain("f.fixture.lua:1:");
  });

  test("that never ends is ended at its deadline", () => {
    const { error, status } = build("while true do end", { timeoutMs: 100 });
    expect(error).toContain("the file's deadline of 100 ms has passed");
    expect(status).toBe("failed");
  });
});

describe("what a build uses is recorded", () => {
  const used = (text: string): string[] =>
    (build(text).built?.dependencies ?? []).map(({ kind, name }) => `${kind} ${name}`);

  test("modules, whatever their names were made of", () => {
    put("lib_a.lua", "return require('lib_' .. 'b')");
    put("lib_b.lua", "return {}");
    expect(used("require('lib_' .. 'a')")).toEqual(["file lib_a.lua", "file lib_b.lua", "profile minimal"]);
  });

  test("files that Lua's own library reads, there or not, but not those that it writes", () => {
    const data = put("data.txt", "1\n2\n");
    const out = join(root, "out.txt");
    expect(
      used(`
        for line in io.lines(${JSON.stringify(data)}) do end
        assert(io.open(${JSON.stringify(join(root, "none"))}) == nil)
        local f = assert(io.open(${JSON.stringify(out)}, "w")) f:write("x") f:close()
        assert(io.open(${JSON.stringify(out)}):read("a") == "x")
        assert(loadfile(${JSON.stringify(put("chunk.lua", "return 1"))})() == 1)`),
    ).toEqual(["file chunk.lua", "file data.txt", "file none", "profile minimal"]);
  });

  test("environment variables, by name", () => {
    expect(used("os.getenv('HOME') os.getenv('NO_SUCH_VARIABLE')")).toEqual([
      "environment HOME",
      "environment NO_SUCH_VARIABLE",
      "profile minimal",
    ]);
  });
});

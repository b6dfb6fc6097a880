import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import packageJson from "../../../package.json";

const MAIN = join(import.meta.dir, "../../../src/main.ts");
let project: string;

beforeAll(() => {
  project = mkdtempSync(join(tmpdir(), "provium-test-"));
  writeFileSync(join(project, "a.test.lua"), "");
  writeFileSync(join(project, "b.lua"), "");
  writeFileSync(join(project, "bad.toml"), "[provium]\njobs = 0\n");
});
afterAll(() => rmSync(project, { recursive: true }));

const provium = (...args: string[]) => {
  const child = Bun.spawnSync([process.execPath, MAIN, ...args], { cwd: project });
  return { status: child.exitCode, out: child.stdout.toString(), err: child.stderr.toString() };
};

describe("the program", () => {
  test("--version prints the version of the package", () => {
    expect(provium("--version")).toEqual({ status: 0, out: `provium ${packageJson.version}\n`, err: "" });
  });

  test("--help succeeds on standard output", () => {
    const { status, out, err } = provium("--help");
    expect([status, err]).toEqual([0, ""]);
    expect(out).toContain("Usage: provium [PATHS] [FLAGS]");
  });

  test("wrong flags leave with status 2 and a suggestion", () => {
    const { status, out, err } = provium("--fliter", "x");
    expect([status, out]).toEqual([2, ""]);
    expect(err).toBe("provium: unknown flag --fliter\n  try: did you mean --filter?\n");
  });

  test("a report that cannot be written leaves with status 2, and no socket behind", () => {
    const { status, err } = provium(
      ...["a.test.lua", "--vmm", "local"],
      ...["--events-socket", "socket", "--reporter", "junit=a.test.lua/report"],
    );
    expect([status, err.split("\n")[0]]).toEqual([
      2,
      `provium: --reporter junit=${project}/a.test.lua/report: the file cannot be written`,
    ]);
    expect(existsSync(join(project, "socket"))).toBe(false);
  });

  test("a wrong configuration leaves with status 2, file and line", () => {
    const { status, err } = provium("--config", "bad.toml");
    expect(status).toBe(2);
    expect(err).toContain("`provium.jobs` must be a whole number of at least 1; it is 0");
    expect(err).toContain(`at: ${join(project, "bad.toml")}:2`);
  });

  test("commands that are no run say what is misspelt in the configuration, too", () => {
    const text = '[profiles.a]\nkernel = "k"\nbiuld = "make"\n';
    writeFileSync(join(project, "odd.toml"), text);
    for (const words of [["prepare"], ["list"], ["fixture", "list"], ["console", "gone"]])
      expect(provium(...words, "--config", "odd.toml").err).toContain(
        'odd.toml:3: unknown key `biuld` in [profiles.a] (did you mean "build"?)',
      );
  });

  test("a path that does not exist, or is empty, leaves with status 2", () => {
    expect(provium("", "--vmm", "local")).toEqual({ status: 2, out: "", err: "provium: a path is empty\n" });
    expect(provium("gone").status).toBe(2);
    expect(provium("gone").err).toContain("no such file or directory");
  });

  test("a misspelt command is told from a path", () => {
    const { status, err } = provium("docter");
    expect([status, err]).toEqual([
      2,
      "provium: docter is no command, and there is no such file or directory\n  try: did you mean provium doctor?\n",
    ]);
    expect(provium("./docter").err).toContain("docter: no such file or directory");
  });

  test.each([
    [["doctor", "x"], "doctor looks at the whole host; `x` is one word too many"],
    [["preflight", "x"], "preflight looks at the whole host; `x` is one word too many"],
    [["completions", "bash", "zsh"], "completions takes one shell; `zsh` is one too many"],
    [["demo", "--", "x"], "demo takes no paths; it was given `x`"],
    [["fixture", "list", "--", "x"], "fixture list takes no names; it was given `x`"],
    [["coverage", "--from", "x", "--", "y"], "coverage takes its events from one place"],
  ])("no word is overlooked: %j", (words, said) => {
    const { status, err } = provium(...words);
    expect([status, err]).toEqual([2, expect.stringContaining(said)]);
  });

  test("preflight tells by its status whether the doctor has found anything missing or replaced", () => {
    const faults = /^(instead|missing) +(\S+)/m.exec(provium("doctor").out);
    const { status, out, err } = provium("preflight");
    if (faults === null) expect([status, out, err]).toEqual([0, "this host offers everything\n", ""]);
    else expect([status, out, err]).toEqual([2, "", expect.stringContaining(`  ${faults[2]}: `)]);
  }, 60_000);

  test("more repetitions than a run can hold are a usage error", () => {
    const { status, err } = provium("--vmm", "local", "--repeat", "999999999");
    expect(status).toBe(2);
    expect(err).toContain("--repeat 999999999: 1 file(s) would make a run of 999999999; at most 1000000");
  });

  test("too little address space is said, not taken for a bug", () => {
    const limited = ["bash", "-c", 'ulimit -v 1000000; exec "$0" "$@"', process.execPath, MAIN];
    const { exitCode, stderr } = Bun.spawnSync([...limited, "--vmm", "local"], { cwd: project });
    expect(exitCode).toBe(2);
    expect(stderr.toString()).toMatch(/^provium: the C library \(.*\) cannot be called\n.*\n.*ulimit -v/);
  });

  test("settings of an editor that cannot be read or written are said, not taken for a bug", () => {
    mkdirSync(join(project, "editor/.luarc.json"), { recursive: true });
    const said = (...words: string[]) => provium("lsp-setup", "editor", ...words).err.split("\n")[0];
    expect(said()).toBe(`provium: ${project}/editor/.luarc.json cannot be read`);
    expect(said("--force")).toBe(`provium: ${project}/editor/.luarc.json cannot be written`);
  });

  test("what cannot be printed is no success, but for a reader that has seen enough", () => {
    const shell = (command: string) => {
      const words = ["bash", "-o", "pipefail", "-c", `"$0" "$1" ${command}`, process.execPath, MAIN];
      const { exitCode, stderr } = Bun.spawnSync(words, { cwd: project });
      return [exitCode, stderr.toString()];
    };
    expect(shell("list >/dev/full")).toEqual([
      2,
      expect.stringMatching(/^provium: what was to be printed is incomplete\n {2}because: ENOSPC/),
    ]);
    expect(shell("completions bash | true")).toEqual([0, ""]);
  });

  test("list prints the files of either form", () => {
    expect(provium("list").out).toBe("a.test.lua\n");
    expect(provium("list", "test").out).toBe("a.test.lua\nb.lua\n");
    expect(provium("list", "--", "b.lua").out).toBe("b.lua\n");
    expect(provium("list", "-v").out).toBe("lab     a.test.lua\n");
  });

  test("a run that finds no file says so and succeeds", () => {
    const { status, err } = provium("--filter", "nothing-like-this");
    expect(status).toBe(0);
    expect(err).toContain("no test files selected (of 1 found)");
  });

  test("a run whose tests are all left out says so", () => {
    mkdirSync(join(project, "more"));
    writeFileSync(join(project, "more/c.test.lua"), 'test("one", function() end)');
    const { out } = provium("--vmm", "local", "more/c.test.lua", "--test", "misspelt");
    expect(out).toMatch(/^1 file\(s\); 0 passed, 0 failed, 1 skipped; .*\nno test ran: all were skipped$/m);
  });
});

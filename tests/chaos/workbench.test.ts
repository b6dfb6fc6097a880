/** The commands that are no runs: a prompt, a command in a machine of its own. */

import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { atTerminal, CTRL_C, CTRL_D, TAB } from "./person.ts";
import { EXECUTABLE, eventually, outcome, Project } from "./run.ts";

const LOCAL = ["--vmm", "local"];

/** Runs a shell line in which $P is the executable. */
const shell = (project: Project, line: string) =>
  outcome(
    Bun.spawn(["bash", "-c", line], {
      cwd: project.directory,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      env: { ...process.env, P: EXECUTABLE, PROVIUM_TMPDIR: project.temp, HOME: project.directory },
    }),
  );

// --- exec ------------------------------------------------------------------------------------------------------

test("exec hands on both outputs and the exit status", async () => {
  using project = new Project();
  const { code, stdout, stderr } = await project.run([
    "exec",
    ...LOCAL,
    "--",
    "echo out; echo err >&2; exit 7",
  ]);
  expect([code, stdout, stderr]).toEqual([7, "out\n", "err\n"]);
});

const ends: readonly [string, readonly string[], number][] = [
  ["a signal is 128 and its number", ["kill -9 $$"], 137],
  ["several words are a program and its arguments", ["/bin/sh", "-c", "exit $0", "3"], 3],
  ["a program that the guest has not is 127", ["/no/such/program", "x"], 127],
  ["a program that may not be executed is 126", ["/etc/passwd", "x"], 126],
];
for (const [title, words, status] of ends)
  test(`exec: ${title}`, async () => {
    using project = new Project();
    expect((await project.run(["exec", ...LOCAL, "--", ...words])).code).toBe(status);
  });

test("exec hands standard input on to its end, all of it", async () => {
  using project = new Project();
  const line = `seq 1 3000000 | $P exec --vmm local -- md5sum; seq 1 3000000 | md5sum`;
  const [there, here] = (await shell(project, line)).stdout.split("\n");
  expect(there).toBe(here as string);
});

test("exec is not kept by a process that its command leaves behind", async () => {
  using project = new Project();
  const { code, stdout } = await project.run(["exec", ...LOCAL, "--", "sleep 1000 & echo done"]);
  expect([code, stdout]).toEqual([0, "done\n"]);
  await eventually("the background process is gone", () => project.processes().length === 0, 10_000);
});

test("exec ends when nobody reads any more", async () => {
  using project = new Project();
  const { stdout, stderr } = await shell(
    project,
    `$P exec --vmm local -- yes | head -1; echo \${PIPESTATUS[0]}`,
  );
  expect([stdout, stderr]).toEqual(["y\n141\n", ""]);
  expect(project.runDirectories()).toEqual([]);
});

test("exec under Ctrl-C leaves with 130 and nothing behind", async () => {
  using project = new Project();
  const up = join(project.directory, "up");
  const child = project.start(["exec", ...LOCAL, "--", `touch ${up}; sleep 1000`]);
  await eventually("the command runs", () => existsSync(up), 30_000);
  child.kill("SIGINT");
  expect((await outcome(child)).code).toBe(130);
  await eventually("every process is gone", () => project.processes().length === 0, 10_000);
});

test("exec of a profile that is not there is 125 and names the known ones", async () => {
  using project = new Project();
  const { code, stdout, stderr } = await project.run(["exec", "web", ...LOCAL, "--", "true"]);
  expect([code, stdout]).toEqual([125, ""]);
  expect(stderr).toStartWith("provium exec: unknown profile `web` (known: default)\n");
});

test("exec without a command, or with words before the --, is a usage error", async () => {
  using project = new Project();
  const none = await project.run(["exec"]);
  expect([none.code, none.stderr]).toEqual([
    2,
    "provium: exec: no command\n  try: provium exec default -- uname -a\n",
  ]);
  const early = await project.run(["exec", "default", "uname", "--", "-a"]);
  expect(early.stderr).toContain("exec: `uname` stands before the --");
});

test("exec in a real machine: its kernel, its exit status", async () => {
  using project = new Project();
  const { code, stdout } = await project.run(["exec", "--", "uname -s; exit 5"]);
  expect([code, stdout]).toEqual([5, "Linux\n"]);
});

// --- repl ------------------------------------------------------------------------------------------------------

const REPL = ["repl", "default", ...LOCAL];

const piped = (project: Project, text: string, words: readonly string[] = REPL) =>
  shell(project, `printf %s "${text.replaceAll('"', '\\"')}" | $P ${words.join(" ")}`);

test("a piped prompt shows expressions, joins lines, and keeps globals", async () => {
  using project = new Project();
  const text = `1+1\nfunction f(x)\n  return x * 2\nend\n\nf(21)\n{ b = { 2 }, a = 1 }\nprint("x", 3)\nnil\n"a", 1.0\n`;
  const { code, stdout, stderr } = await piped(project, text);
  expect(stdout).toBe('2\n42\n{\n  a = 1,\n  b = {\n    2,\n  },\n}\nx\t3\nnil\n"a"\n1.0\n');
  expect([code, stderr]).toEqual([0, ""]);
});

test("a piped prompt works on the machine, and shows our objects with their fields", async () => {
  using project = new Project();
  const { stdout } = await piped(project, 'vm:run("echo hi")\nprovium.repl == vm\n');
  expect(stdout).toContain('RunResult: echo hi exited with 0\n  exit_code = 0\n  stdout = "hi\\n"\n');
  expect(stdout).toEndWith("true\n");
});

test("a piece that fails does not end the prompt, and makes its status 1", async () => {
  using project = new Project();
  const { code, stdout, stderr } = await piped(project, 'error("boom")\nvm:run(nil)\n3\n= 4\n');
  expect([code, stdout]).toEqual([1, "3\n"]);
  expect(stderr).toContain("prompt:1: boom\n");
  expect(stderr).toContain("unexpected symbol near '='");
});

test("a piece that is never complete is an error", async () => {
  using project = new Project();
  const { code, stderr } = await piped(project, "function f()\n");
  expect([code, stderr]).toEqual([1, "provium repl: the last piece of Lua is not complete\n"]);
});

test("--name is what the machine is called", async () => {
  using project = new Project();
  expect((await piped(project, "vm:name()\n", [...REPL, "--name", "web"])).stdout).toBe('"web"\n');
});

test("repl without a profile names the known ones; two are one too many", async () => {
  using project = new Project({ "provium.toml": '[profiles.mine]\nkernel = "vmlinux"\n' });
  const none = await project.run(["repl"]);
  expect([none.code, none.stderr]).toEqual([
    2,
    "provium: repl: which profile? (known: default, mine)\n  try: provium repl default\n",
  ]);
  expect((await project.run(["repl", "a", "b"])).stderr).toContain("`b` is one too many");
});

test("on a terminal: completion, a piece over several lines, Ctrl-D, and a history for the next time", async () => {
  using project = new Project();
  const seen = await atTerminal(project, REPL.join(" "), [
    ["> ", "vm:write_"],
    ["vm:write_", TAB],
    ["file", '("/dev/null", "x")\n'],
    ["> ", "vm:console():re"],
    ["re", TAB],
    ["ad", TAB],
    ["read_log", "ad_log()\n"],
    ["> ", "function f()\n"],
    [">> ", "return 6 * 7\n"],
    [">> ", "end\n"],
    ["> ", "f()\n"],
    ["42", CTRL_D],
  ]);
  expect(seen).toContain('> vm:write_file("/dev/null", "x")');
  expect(seen).toMatch(/read +read_log/);
  expect(seen).toEndWith("status 0");
  const history = join(project.directory, ".cache/provium/repl-history");
  expect(existsSync(history)).toBe(true);
  expect(readFileSync(history, "utf8")).toEndWith("function f()\nreturn 6 * 7\nend\nf()\n");
});

test("Ctrl-C at a prompt drops the line; in a call that waits or computes it ends the call alone", async () => {
  using project = new Project();
  const seen = await atTerminal(project, REPL.join(" "), [
    ["> ", "typed"],
    ["typed", CTRL_C],
    ["> ", "1 + 1\n"],
    ["2", "print('now') while true do end\n"],
    ["now\r\n", CTRL_C],
    ["interrupted", "print('now') vm:run('sleep 1000')\n"],
    ["now\r\n", CTRL_C],
    ["interrupted", "provium.repl:state()\n"],
    ['"booted"', "exit\n"],
  ]);
  expect(seen).toContain("> typed^C");
  expect(seen).toEndWith("status 0");
  await eventually("every process is gone", () => project.processes().length === 0, 10_000);
});

test("what a background task prints does not tear the line being typed", async () => {
  using project = new Project();
  const seen = await atTerminal(project, REPL.join(" "), [
    ["> ", "provium:go(function() wait_until(function() return go end, { timeout = 60 }) print('bg') end)\n"],
    ["> ", "go = true\n"],
    ["bg", "'still ' .. 'here'\n"],
    ["still here", CTRL_D],
  ]);
  expect(seen).toContain('"still here"');
});

/** The commands that are no runs: a prompt, a command in a machine of its own, a first project, builds, editors and shells. */

import { expect, test } from "bun:test";
import { existsSync, readFileSync, rmSync } from "node:fs";
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
  await project.deserted();
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
  await project.deserted();
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

test("repl --fixture starts from the fixture, built on the way where it is not there", async () => {
  using project = new Project({
    "provium.toml": '[provium]\nroots = ["."]\n',
    "base.fixture.lua": `local vm = provium:vm("base", "default", { memory = "128M" }):boot()
vm:write_file("/tmp/made", "by the fixture")
return vm:snapshot()
`,
  });
  const first = await piped(project, 'vm:read_file("/tmp/made")\n', ["repl", "--fixture", "base"]);
  expect([first.stdout, first.code]).toEqual(['"by the fixture"\n', 0]);
  const unknown = await piped(project, "1\n", ["repl", "--fixture", "bsae"]);
  expect([unknown.code, unknown.stdout]).toEqual([2, ""]);
  expect(unknown.stderr).toContain("bsae");
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
  await project.deserted();
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

// --- first contact ---------------------------------------------------------------------------------------------

test("provium with nothing around it says in six lines what to do", async () => {
  using project = new Project();
  const { code, stdout, stderr } = await project.run([]);
  expect([code, stdout]).toEqual([
    0,
    "\n0 file(s); 0 passed, 0 failed, 0 skipped; 0.00s\n".replace(
      "0.00s",
      stdout.match(/[\d.]+s/)?.[0] ?? "",
    ),
  ]);
  expect(stderr.trimEnd().split("\n").length).toBe(6);
  for (const word of ["init", "demo", "repl default", "doctor", "--help"])
    expect(stderr).toContain(`provium ${word}`);
});

test("init makes a project that passes, and leaves what is there alone", async () => {
  using project = new Project({ "provium.toml": "# mine\n" });
  const made = await project.run(["init", "."]);
  expect(made.code).toBe(0);
  expect(made.stdout).toContain("provium.toml is there and stays as it is\n");
  expect(made.stdout).toContain("wrote tests/hello.test.lua\n");
  const fresh = await project.run(["init", "sub"]);
  expect(fresh.stdout).toEndWith("\nNow: cd sub && provium\n");
  // The example writes below /tmp, which is the host's own on the local VMM.
  const run = await project.run(["--vmm", "local", "--config", "sub/provium.toml"]);
  rmSync("/tmp/greeting", { force: true });
  expect([run.code, run.stdout.split("\n")[0]]).toEqual([
    0,
    "PASS hello.test.lua (3 passed, 0 failed, 0 skipped)",
  ]);
});

test("init --kernel declares a profile; a kernel that is not there is a usage error", async () => {
  using project = new Project({ "build/bzImage": "" });
  expect((await project.run(["init", "--kernel", "build/bzImage"])).code).toBe(0);
  expect(readFileSync(join(project.directory, "provium.toml"), "utf8")).toContain('kernel = "build/bzImage"');
  expect((await project.run(["list", "--profiles"])).stdout).toBe("default\nmine\n");
  expect((await project.run(["init", "--kernel", "gone"])).stderr).toContain("--kernel gone: no such file");
});

test("doctor names what it looked at, and the kernels that a project lacks", async () => {
  using project = new Project({ "provium.toml": '[profiles.mine]\nkernel = "gone"\n' });
  const { stdout } = await project.run(["doctor"]);
  for (const what of [
    "QEMU",
    "KVM",
    "vsock",
    "bridges",
    "pool",
    "pressure",
    "ksm",
    "runs",
    "cache",
    "project",
  ])
    expect(stdout).toMatch(new RegExp(`^(ok|note|instead|missing) +${what} `, "m"));
  expect(stdout).toContain(`profile \`mine\`: ${join(project.directory, "gone")} is not there`);
});

// --- editors and shells ----------------------------------------------------------------------------------------

test("lsp-setup writes definitions and settings; settings that are there stay unless forced", async () => {
  using project = new Project();
  expect((await project.run(["lsp-setup"])).code).toBe(0);
  expect(readFileSync(join(project.directory, ".provium-meta/types.lua"), "utf8")).toContain("---@class VM");
  const settings = project.write(".luarc.json", "{}");
  const refused = await project.run(["lsp-setup", "."]);
  expect([refused.code, readFileSync(settings, "utf8")]).toEqual([1, "{}"]);
  expect(refused.stdout).toContain('"workspace.library"');
  expect((await project.run(["lsp-setup", "--force"])).code).toBe(0);
  expect(JSON.parse(readFileSync(settings, "utf8"))["runtime.version"]).toBe("Lua 5.4");
  expect((await project.run(["lsp-setup", "gone"])).stderr).toContain("lsp-setup: gone is no directory");
});

/** What bash offers for a line that ends in the word to be completed. */
const offered = async (project: Project, line: string): Promise<string[]> => {
  const script = `
    provium() { "$P" "$@"; }
    source <("$P" completions bash)
    COMP_WORDS=(${line}); COMP_CWORD=$(( \${#COMP_WORDS[@]} - 1 )); _provium
    printf '%s\\n' "\${COMPREPLY[@]}"`;
  return (await shell(project, script)).stdout.split("\n").filter(Boolean);
};

test("bash completes commands, flags, their values, and profiles", async () => {
  using project = new Project({ "provium.toml": '[profiles.mine]\nkernel = "k"\n' });
  expect(await offered(project, "provium do")).toEqual(["doctor"]);
  expect(await offered(project, "provium --rerun")).toEqual(["--rerun-failed"]);
  expect(await offered(project, "provium --vmm lo")).toEqual(["local"]);
  expect(await offered(project, "provium repl mi")).toEqual(["mine"]);
  expect(await offered(project, "provium fixture re")).toEqual(["rebuild"]);
  expect(await offered(project, "provium repl --fix")).toEqual(["--fixture"]);
});

test("a profile whose name is a command of the shell is offered, not run", async () => {
  const name = "$(>evil)";
  using project = new Project({ "provium.toml": `[profiles.'${name}']\nkernel = "k"\n` });
  expect(await offered(project, "provium repl ''")).toContain(name);
  expect(existsSync(join(project.directory, "evil"))).toBe(false);
});

for (const name of ["bash", "zsh", "fish"])
  test(`${name} accepts its completions`, async () => {
    using project = new Project();
    if (Bun.which(name) === null) {
      console.log(`skipped: ${name} is not installed (apt install ${name})`);
      return;
    }
    const { code, stderr } = await shell(project, `"$P" completions ${name} >c && ${name} -n c`);
    expect([code, stderr]).toEqual([0, ""]);
  });

test("completions of an unknown shell name the known ones", async () => {
  using project = new Project();
  expect((await project.run(["completions"])).stderr).toContain("for which shell? (known: bash, zsh, fish)");
  expect((await project.run(["completions", "fsh"])).stderr).toContain("did you mean");
});

// --- builds of profiles ----------------------------------------------------------------------------------------

const BUILT = `[profiles.mine]
build = "echo run >>log; echo $PROVIUM_PROFILE >{out}/name; cp $KERNEL {out}/"
kernel = "{out}/kernel"
[profiles.other]
build = "touch other-was-built"
kernel = "{out}/kernel"
`;

test("a run builds the profiles that its tests name, once, and no others", async () => {
  using project = new Project({
    "provium.toml": BUILT,
    "a.test.lua": 'local vm = provium:vm("x", "mine")\ntest("a", function() end)\n',
    "b.test.lua": 'local vm = provium:vm("x", "mine")\ntest("b", function() end)\n',
    kernel: "",
  });
  const { code, stderr } = await project.run(["--vmm", "local"], { KERNEL: "kernel" });
  expect(code).toBe(0);
  expect(stderr).toContain("provium: profile `mine` was built (");
  expect(readFileSync(join(project.directory, "log"), "utf8")).toBe("run\n");
  expect(readFileSync(join(project.directory, ".provium/mine/name"), "utf8")).toBe("mine\n");
  expect(existsSync(join(project.directory, "other-was-built"))).toBe(false);
  await project.run(["--vmm", "local", "--no-build"], { KERNEL: "kernel" });
  expect(readFileSync(join(project.directory, "log"), "utf8")).toBe("run\n");
});

test("prepare builds what is named, shows its output, and knows the names", async () => {
  using project = new Project({
    "provium.toml": '[profiles.mine]\nbuild = "echo hello from the build"\nkernel = "k"\n',
  });
  const { code, stdout, stderr } = await project.run(["prepare", "mine", "default"]);
  expect([code, stdout]).toEqual([0, "hello from the build\n"]);
  expect(stderr).toContain("profile `default` has nothing to build");
  expect((await project.run(["prepare", "mien"])).stderr).toContain("did you mean");
});

test("a build that fails ends the run with status 2, its command and its last words", async () => {
  using project = new Project({
    "provium.toml": '[profiles.mine]\nbuild = "echo no such compiler >&2; exit 3"\nkernel = "k"\n',
    "a.test.lua": 'provium:vm("x", "mine")\n',
  });
  const { code, stderr } = await project.run(["--vmm", "local"]);
  expect(code).toBe(2);
  expect(stderr).toContain(
    "profile `mine`: its build exited with 3: echo no such compiler >&2; exit 3\n  no such compiler".replace(
      "\n  ",
      "\n",
    ),
  );
});

// --- console ---------------------------------------------------------------------------------------------------

test("console --print-command prints a command that a shell understands, with the profile's own words", async () => {
  using project = new Project({
    "provium.toml":
      '[profiles.mine]\nkernel = "embedded"\ncmdline = "quiet a=\'b c\'"\nmemory = "256M"\nqemu_args = ["-S"]\n',
  });
  const { code, stdout } = await project.run(["console", "mine", "--accel", "tcg", "--print-command"]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^\S*qemu-system-x86_64 /);
  expect(stdout).toContain("-m 256M");
  expect(stdout).toContain("-serial mon:stdio");
  expect(stdout.trimEnd()).toEndWith("-S");
  expect(stdout).not.toContain("rdinit=");
  const withAgent = await project.run(["console", "mine", "--accel", "tcg", "--print-command", "--agent"]);
  expect(withAgent.stdout).toContain("rdinit=");
  using classic = new Project({
    "provium.toml": '[profile.mine]\nkernel = "embedded"\ncmdline = "quiet rdinit=/bin/sh"\n',
  });
  const own = await classic.run(["console", "mine", "--accel", "tcg", "--print-command"]);
  expect(own.stdout).toContain("rdinit=/bin/sh quiet");
  expect((await project.run(["console", "mien"])).stderr).toContain("there is no profile `mien`");
});

test("console boots the default guest to a shell on this terminal; Ctrl-A X ends it", async () => {
  using project = new Project();
  const seen = await atTerminal(project, "console default --accel tcg", [
    ["Please press Enter", "\n"],
    ["# ", "echo $((6*7)) from $(uname -s)\n"],
    ["42 from Linux", "\u0001x"],
  ]);
  expect(seen).toContain("42 from Linux");
  expect(seen).toContain("status 0");
});

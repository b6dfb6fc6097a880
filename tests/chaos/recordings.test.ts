/** What becomes of recordings: merged shards, coverage. The executable as a user would call it. */

import { expect, test } from "bun:test";
import { existsSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { EXECUTABLE, eventually, outcome, Project } from "./run.ts";

const FILES = {
  "one/a.test.lua": `test("a1", { spec = "1.1" }, function() end)
    test("a2", function(t) t:subtest("part", function(p) p:assert_eq(1, 2) end) end)\n`,
  "one/b.test.lua": `test("b1", { slow = true }, function() end)\nprint("hello")\n`,
  "two/c.test.lua": `local vm = provium:vm("v", "default"):boot()
    test("c1", { spec = "1.2" }, function(t) t:assert_eq(vm:run("echo x").stdout, "x\\n") end)\n`,
  "two/d.test.lua": `error("never loads")\n`,
  sections: "1.1 One\n1.2 Two\n1.3 Three\n",
};
const LOCAL = ["--vmm", "local", "--seed", "5"];

/** A report in JSON without what differs from run to run. */
const results = (text: string): unknown[] =>
  text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line, (key, value) => (/duration/.test(key) ? 0 : value)))
    .sort((a, b) => (a.path < b.path ? -1 : 1));

test("two shards and merge equal one run, in results and in exit status", async () => {
  using project = new Project(FILES);
  const whole = await project.run([...LOCAL, "--json"]);
  const first = await project.run([...LOCAL, "--filter", "one/", "--save-events", "1.events"]);
  const second = await project.run([...LOCAL, "--filter", "two/", "--save-events", "2.events"]);
  expect([whole.code, first.code, second.code]).toEqual([1, 1, 1]);
  const merged = await project.run(["merge", "1.events", "2.events", "--json", "--reporter", "html=r.html"]);
  expect(merged.code).toBe(1);
  expect(results(merged.stdout)).toEqual(results(whole.stdout));
  expect(merged.stderr).toMatch(/4 file\(s\); 2 passed, 2 failed, 1 skipped/);
  expect(readFileSync(join(project.directory, "r.html"), "utf8")).toContain("c1");
});

test("merge of good shards exits with 0, and a merged recording can be merged again", async () => {
  using project = new Project(FILES);
  for (const name of ["b", "c"])
    await project.run([...LOCAL, "--filter", `${name}.test`, "--save-events", `${name}.events`]);
  const merged = await project.run(["merge", "b.events", "c.events", "--save-events", "all.events"]);
  expect(merged.code).toBe(0);
  const again = await project.run(["merge", "all.events", "-q"]);
  expect(again.code).toBe(0);
  expect(again.stdout).toContain("2 file(s); 1 passed, 0 failed, 1 skipped");
  const clash = await project.run(["merge", "b.events", "all.events"]);
  expect(clash.code).toBe(2);
  expect(clash.stderr).toMatch(/one\/b\.test\.lua ran in b\.events and in all\.events/);
});

test("merge without recordings, with a foreign file or with one named twice is a usage error", async () => {
  using project = new Project(FILES);
  for (const [args, says] of [
    [[], /needs the recordings/],
    [["sections"], /sections is no recording of events/],
    [["x", "x"], /named twice/],
    [["none"], /none cannot be read \(ENOENT\)/],
  ] as const) {
    const result = await project.run(["merge", ...args]);
    expect(result.stderr).toMatch(says);
    expect(result.code).toBe(2);
  }
});

test("coverage tells tested, failing and untested sections, as text, JSON and HTML", async () => {
  using project = new Project(FILES);
  await project.run([...LOCAL, "--save-events", "e"]);
  const text = await project.run(["coverage", "--from", "e", "--sections", "sections"]);
  expect(text.code).toBe(0);
  expect(text.stdout).toContain("PASS 1.1  One  (1 passed)\nPASS 1.2  Two  (1 passed)\n---- 1.3  Three\n");
  const json = await project.run(["coverage", "--from", "e", "--format", "json"]);
  expect(JSON.parse(json.stdout).sections.map((it: { id: string }) => it.id)).toEqual(["1.1", "1.2"]);
  const html = await project.run(["coverage", "--from", "e", "--format", "html"]);
  expect(html.stdout).toStartWith("<!doctype html>");
});

test("a link called provium-coverage is the coverage tool, also behind a pipe", async () => {
  using project = new Project(FILES);
  symlinkSync(EXECUTABLE, join(project.directory, "provium-coverage"));
  const child = Bun.spawn(
    [
      "bash",
      "-c",
      `${EXECUTABLE} ${LOCAL.join(" ")} --events-stdout 2>/dev/null | ./provium-coverage --from -`,
    ],
    {
      cwd: project.directory,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      env: { ...process.env, PROVIUM_TMPDIR: project.temp },
    },
  );
  expect((await outcome(child)).stdout).toContain("coverage by spec: 2 of 2 section(s) tested");
});

/** Sockets that have this path: the listener, and its end of each connection. proc(5), /proc/net/unix. */
const ends = (path: string): number => readFileSync("/proc/net/unix", "utf8").split(` ${path}\n`).length - 1;

test("coverage follows a run through its socket to the end", async () => {
  using project = new Project({
    "a.test.lua": `test("a", { spec = "7" }, function() wait_until(function()
      local f = io.open(os.getenv("PROVIUM_TMPDIR") .. "/go") if f then f:close() end return f ~= nil
    end, { timeout = 60 }) end)\n`,
  });
  const run = project.start([...LOCAL, "--events-socket", "s"]);
  await eventually("the socket is there", () => existsSync(join(project.directory, "s")), 30_000);
  const coverage = project.start(["coverage", "--from-socket", "s"]);
  const connected = (): boolean => ends(join(project.directory, "s")) > 1;
  await eventually("coverage has connected", connected, 30_000);
  project.write("tmp/go", "");
  const [ran, covered] = await Promise.all([outcome(run), outcome(coverage)]);
  expect(ran.code).toBe(0);
  expect(covered.stdout).toContain("PASS 7  (1 passed)");
});

test("coverage without events, with two sources or without a list that exists is a usage error", async () => {
  using project = new Project(FILES);
  for (const [args, says] of [
    [[], /from one place/],
    [["--from", "a", "--from-socket", "b"], /from one place/],
    [["--from-socket", "none"], /nobody listens at none/],
    [["--from", "e", "--sections", "none"], /--sections: none cannot be read \(ENOENT\)/],
  ] as const) {
    const result = await project.run(["coverage", ...args]);
    expect(result.stderr).toMatch(says);
    expect(result.code).toBe(2);
  }
});

test("--coverage prints the sections after the summary, and beside a report for programs on standard error", async () => {
  using project = new Project(FILES);
  const text = await project.run([...LOCAL, "--filter", "two/c", "--coverage"]);
  expect(text.stdout).toMatch(/1 file\(s\);[\s\S]*PASS 1\.2 {2}\(1 passed\)/);
  const json = await project.run([...LOCAL, "--filter", "two/c", "--coverage", "--json"]);
  expect(results(json.stdout)).toHaveLength(1);
  expect(json.stderr).toContain("coverage by spec");
});

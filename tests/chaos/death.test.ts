/** Deaths of every process at the worst moment: the run says what happened, and nothing stays behind. */

import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { eventually, outcome, Project } from "./run.ts";

const LONG = `local g = provium:vm("g", "default"):boot()
test("sleeps in the guest", function(t) io.open("pending", "w"):close() g:run("sleep 600") end)
test("the next one still runs", function(t) t:log("reached") end)
`;

const process = (project: Project, pattern: RegExp): number | undefined =>
  project.processes().find(({ command }) => pattern.test(command))?.pid;

test("a test that loops for ever in Lua ends at its deadline and the next test runs", async () => {
  using project = new Project({
    "a.test.lua": `test("loops", { timeout = "300ms" }, function() while true do end end)
test("caught", { timeout = "300ms" }, function() while true do pcall(function() while true do end end) end end)
test("after", function(t) t:log("reached") end)\n`,
  });
  const result = await project.run(["--vmm", "local", "-v"]);
  expect(result.text).toMatch(/FAIL loops/);
  expect(result.text).toMatch(/FAIL caught/);
  expect(result.text).toMatch(/PASS after/);
  expect(result.code).toBe(1);
});

test("a test that allocates without end gets a memory-limit error with file and line", async () => {
  using project = new Project({
    "a.test.lua": `test("eats", function() local t = {} for i = 1, math.maxinteger do t[i] = ("x"):rep(1000) .. i end end)
test("after", function(t) end)\n`,
  });
  const result = await project.run(["--vmm", "local", "-v"]);
  expect(result.text).toMatch(/memory limit .* exceeded/);
  expect(result.text).toMatch(/a\.test\.lua:1/);
  expect(result.text).toMatch(/PASS after/);
});

test("a file past its deadline is reported as TIME and the other file is not disturbed", async () => {
  using project = new Project({
    "a.test.lua": `test("loops", function() while true do end end)\n`,
    "b.test.lua": `test("fine", function() end)\n`,
  });
  const result = await project.run(["--vmm", "local", "--timeout", "3s"]);
  expect(result.stdout).toMatch(/TIME a\.test\.lua/);
  expect(result.stdout).toMatch(/PASS b\.test\.lua/);
  expect(result.code).toBe(1);
  await project.deserted();
});

test("a runner killed with SIGKILL fails its file and no other", async () => {
  using project = new Project({
    "a.test.lua": `test("dies", function(t) os.execute = nil; t:log("x"); while true do provium:vm("l" .. math.random(1 << 50), "default"):boot():run("sleep 0.05") end end)\n`,
    "b.test.lua": `test("fine", function() end)\n`,
  });
  const child = project.start(["--vmm", "local", "-v"]);
  await eventually("the local agent runs", () => process(project, /provium-agent/) !== undefined, 20_000);
  const agent = process(project, /provium-agent/) as number;
  const parent = Number(readFileSync(`/proc/${agent}/stat`, "utf8").split(") ")[1]?.split(" ")[1]);
  globalThis.process.kill(parent, "SIGKILL");
  const result = await outcome(child);
  expect(result.stdout).toMatch(/FAIL a\.test\.lua/);
  expect(result.text).toMatch(/SIGKILL/);
  expect(result.stdout).toMatch(/PASS b\.test\.lua/);
  expect(result.code).toBe(1);
  // What the runner had started is told by the kernel, and the run does not wait for it.
  await project.deserted();
});

test("Ctrl-C ends everything, prints the summary and exits with 130", async () => {
  using project = new Project({ "a.test.lua": LONG });
  const child = project.start(["-v"]);
  await eventually("QEMU runs", () => process(project, /qemu-system/) !== undefined, 60_000);
  child.kill("SIGINT");
  const result = await outcome(child);
  expect(result.code).toBe(130);
  expect(result.text).toMatch(/1 file\(s\);/);
  await project.deserted();
  expect(project.runDirectories()).toEqual([]);
});

test("kill -9 on the dispatcher leaves no process, and the next run sweeps its directory", async () => {
  using project = new Project({ "a.test.lua": LONG, "b.test.lua": `test("fine", function() end)\n` });
  const child = project.start(["a.test.lua"]);
  await eventually("QEMU runs", () => process(project, /qemu-system/) !== undefined, 60_000);
  child.kill("SIGKILL");
  await outcome(child);
  await project.deserted();
  expect(project.runDirectories().length).toBeGreaterThan(0);
  const next = await project.run(["b.test.lua", "--vmm", "local"]);
  expect(next.code).toBe(0);
  expect(project.runDirectories()).toEqual([]);
});

test("a killed QEMU fails the pending call with the reason, and the next test runs", async () => {
  using project = new Project({ "a.test.lua": LONG });
  const child = project.start(["-v"]);
  await eventually("the call is pending", () => existsSync(join(project.directory, "pending")), 60_000);
  globalThis.process.kill(process(project, /qemu-system/) as number, "SIGKILL");
  const result = await outcome(child);
  expect(result.text).toMatch(/FAIL sleeps in the guest/);
  expect(result.text).toMatch(/vm `g`.*(QEMU|killed)/i);
  expect(result.text).toMatch(/PASS the next one still runs/);
  await project.deserted();
});

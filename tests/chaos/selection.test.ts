/** Which files a run takes and how often, by what it does and says; on the local VMM. */

import { expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Reader } from "./matrix/reader.ts";
import { eventually, Project } from "./run.ts";

const PASSES = `test("fine", function() end)\n`;
const FAILS = `test("bad", function(t) t:fail("no") end)\n`;

const paths = (text: string): string[] =>
  text
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line).path as string)
    .sort();

/** Every run with a cache of its own. */
const run = (project: Project, args: readonly string[], env: Record<string, string> = {}) =>
  project.run(["--vmm", "local", ...args], { XDG_CACHE_HOME: join(project.directory, "cache"), ...env });

test("two shards are the whole, without overlap, and say the same plan", async () => {
  using project = new Project(
    Object.fromEntries(Array.from({ length: 7 }, (_, i) => [`t${i}.test.lua`, PASSES])),
  );
  const parts = await Promise.all(["1/2", "2/2"].map((shard) => run(project, ["--json", "--shard", shard])));
  expect(parts.flatMap(({ stdout }) => paths(stdout)).sort()).toEqual(
    Array.from({ length: 7 }, (_, i) => `t${i}.test.lua`),
  );
  const plans = parts.map(({ stderr }) => /\(plan (\w+)\)/.exec(stderr)?.[1]);
  expect(plans[0]).toMatch(/^[0-9a-f]{8}$/);
  expect(plans[0]).toBe(plans[1]);
});

test("--shard auto follows the environment, and runs everything where that says nothing", async () => {
  using project = new Project({ "a.test.lua": PASSES, "b.test.lua": PASSES });
  const slurm = { SLURM_ARRAY_TASK_ID: "2", SLURM_ARRAY_TASK_COUNT: "2", SLURM_ARRAY_TASK_MIN: "1" };
  const part = await run(project, ["--json", "--shard", "auto"], slurm);
  expect(paths(part.stdout)).toEqual(["b.test.lua"]);
  expect(part.stderr).toContain("shard 2/2 as Slurm says");
  const whole = await run(project, ["--json", "--shard", "auto"]);
  expect(paths(whole.stdout)).toHaveLength(2);
  expect(whole.stderr).toContain("so every file runs");
});

test("shards are balanced by timings that a run has saved", async () => {
  using project = new Project({ "a.test.lua": PASSES, "b.test.lua": PASSES, "c.test.lua": PASSES });
  expect((await run(project, ["--save-timings", "t.json"])).code).toBe(0);
  expect(Object.keys(JSON.parse(readFileSync(join(project.directory, "t.json"), "utf8")).files)).toHaveLength(
    3,
  );
  writeFileSync(
    join(project.directory, "t.json"),
    JSON.stringify({ version: 1, files: { "a.test.lua": 10, "b.test.lua": 1000, "c.test.lua": 20 } }),
  );
  const first = await run(project, ["--json", "--shard", "1/2", "--timings", "t.json"]);
  expect(paths(first.stdout)).toEqual(["b.test.lua"]);
});

test("--rerun-failed takes the files that failed, says when there are none, and survives garbage", async () => {
  using project = new Project({ "a.test.lua": PASSES, "b.test.lua": FAILS });
  const none = await run(project, ["--json", "--rerun-failed"]);
  expect(none.code).toBe(0);
  expect(none.stderr).toContain("no earlier run has left failures");
  await run(project, []);
  expect(paths((await run(project, ["--json", "--rerun-failed"])).stdout)).toEqual(["b.test.lua"]);
  writeFileSync(join(project.directory, "cache/provium/rerun.json"), "{ garbage");
  const all = await run(project, ["--json", "--rerun-failed"]);
  expect(paths(all.stdout)).toHaveLength(2);
  expect(all.stderr).toMatch(/rerun\.json is not JSON, so every file runs/);
});

test("--since takes files that changed after a file; one that is not there is a usage error", async () => {
  using project = new Project({ "a.test.lua": PASSES, "b.test.lua": PASSES, mark: "" });
  const mark = statSync(join(project.directory, "mark")).mtimeMs / 1000;
  utimesSync(join(project.directory, "a.test.lua"), mark - 10, mark - 10);
  utimesSync(join(project.directory, "b.test.lua"), mark + 10, mark + 10);
  expect(paths((await run(project, ["--json", "--since", "mark"])).stdout)).toEqual(["b.test.lua"]);
  const wrong = await run(project, ["--since", "nothing"]);
  expect(wrong.code).toBe(2);
  expect(wrong.stderr).toContain("--since nothing: no such file");
});

test("--retries runs a failing file again; passing then is a pass that is called flaky", async () => {
  using project = new Project({
    "a.test.lua": `test("moody", function(t)
  local mark = io.open("mark")
  if mark then mark:close() return end
  io.open("mark", "w"):close()
  t:fail("the first time")
end)\n`,
    "b.test.lua": FAILS,
  });
  const result = await run(project, ["--json", "--retries", "1", "--filter", "a.test"]);
  expect(result.code).toBe(0);
  expect(JSON.parse(result.stdout.split("\n")[0] as string)).toMatchObject({ status: "passed", flaky: true });
  expect((await run(project, ["--retries", "2", "--filter", "b.test"])).code).toBe(1);
});

test("--repeat runs every file so often, under names of their own; the same seed draws the same numbers", async () => {
  using project = new Project({
    "a.test.lua": `test("draws", function(t) t:log(math.random(1 << 60)) end)\n`,
  });
  const logs = async (seed: string): Promise<string[]> =>
    (await run(project, ["--json", "--repeat", "3", "--seed", seed])).stdout
      .split("\n")
      .filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line))
      .sort((a, b) => (a.path < b.path ? -1 : 1))
      .map(({ path, tests }) => `${path}: ${tests[0].log[0]}`);
  const one = await logs("7");
  expect(one.map((line) => line.split(":")[0])).toEqual(["a.test.lua", "a.test.lua #2", "a.test.lua #3"]);
  expect(new Set(one.map((line) => line.split(":")[1])).size).toBe(3);
  expect(await logs("7")).toEqual(one);
  expect(await logs("8")).not.toEqual(one);
});

test("--keep leaves the run's directory where it says, and a later run does not sweep it", async () => {
  using project = new Project({ "a.test.lua": PASSES });
  const result = await run(project, ["--keep"]);
  const kept = /kept: (\S+)/.exec(result.stderr)?.[1] as string;
  expect(existsSync(kept)).toBe(true);
  await run(project, []);
  expect(existsSync(kept)).toBe(true);
  rmSync(kept, { recursive: true });
});

test("--watch runs what has changed until Ctrl-C, and a broken configuration can be mended", async () => {
  using project = new Project({ "a.test.lua": PASSES, "b.test.lua": PASSES, "provium.toml": "" });
  const child = project.start(["--vmm", "local", "--watch", "--reporter", "json=out"], {
    XDG_CACHE_HOME: join(project.directory, "cache"),
  });
  const out = (): string =>
    existsSync(join(project.directory, "out")) ? readFileSync(join(project.directory, "out"), "utf8") : "";
  const seen = (): string => paths(out()).join(" ");
  const stderr = new Reader(child.stderr);
  let heard = 0;
  /** Waits for these words behind those that it has waited for before. */
  const said = async (words: string): Promise<void> => {
    await eventually(`\`${words}\``, () => stderr.text.includes(words, heard), 20_000);
    heard = stderr.text.indexOf(words, heard) + words.length;
  };
  await eventually("the first round", () => seen() === "a.test.lua b.test.lua", 20_000);
  await said("Ctrl-C ends");
  project.write("a.test.lua", `${PASSES}-- changed\n`);
  await eventually("the changed file", () => seen() === "a.test.lua", 20_000);
  await said("Ctrl-C ends");
  project.write("provium.toml", "[provium\n");
  await said("parse `");
  await said("Ctrl-C ends");
  project.write("provium.toml", "\n");
  await eventually("everything again", () => seen() === "a.test.lua b.test.lua", 20_000);
  await said("Ctrl-C ends");
  child.kill("SIGINT");
  expect(await child.exited).toBe(0);
  await project.deserted();
});

test("a thousand files of which a hundred crash their runner: each tells its story, and nothing stays behind", async () => {
  const files: Record<string, string> = {};
  for (let i = 0; i < 1000; i++)
    files[`t${String(i).padStart(4, "0")}.test.lua`] =
      i % 10 === 3 ? `test("dies", function() os.execute("kill -9 $PPID") end)\n` : PASSES;
  using project = new Project(files);
  const result = await run(project, ["--json"]);
  expect(result.code).toBe(1);
  const records = result.stdout
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as { path: string; status: string; chunk_error: string | null });
  expect(records).toHaveLength(1000);
  expect(new Set(records.map(({ path }) => path)).size).toBe(1000);
  const crashed = records.filter(({ status }) => status === "crashed");
  expect(crashed).toHaveLength(100);
  for (const { chunk_error } of crashed) expect(chunk_error).toContain("killed by SIGKILL");
  expect(records.filter(({ status }) => status === "passed")).toHaveLength(900);
  // The shells that have killed their runners end by themselves.
  await project.deserted();
  expect(readdirSync(project.temp).filter((name) => name.startsWith("provium-0-"))).toEqual([]);
}, 180_000);

test("the second Ctrl-C ends a run at once that would not end", async () => {
  using project = new Project({
    "a.test.lua": `test("holds on", function()
  io.open("started", "w"):close()
  while true do pcall(function() while true do end end) end
end)\n`,
  });
  const child = project.start(["--vmm", "local"]);
  await eventually("the test runs", () => existsSync(join(project.directory, "started")), 20_000);
  const stderr = new Reader(child.stderr);
  child.kill("SIGINT");
  // Two at once would be one.
  await eventually("the first is heard", () => stderr.text.includes("once more ends it now"), 20_000);
  child.kill("SIGINT");
  const stdout = await new Response(child.stdout).text();
  expect(await child.exited).toBe(130);
  expect(stdout).toMatch(/FAIL a\.test\.lua/);
  expect(stdout).toContain("interrupted");
  await project.deserted();
});

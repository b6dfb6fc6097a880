/** The script of docs/scale.md as an array job of a real Slurm: all parts together are one run. */

import { expect, test } from "bun:test";
import { chmodSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { EXECUTABLE, Project } from "./run.ts";
import { Slurm, slurmMissing } from "./slurm.ts";

const DOCUMENT = readFileSync(resolve(import.meta.dir, "../../docs/scale.md"), "utf8");
const SCRIPT = /```sh\n(#!\/bin\/sh\n#SBATCH[\s\S]*?)```/.exec(DOCUMENT)?.[1] as string;

const PARTS = 3;
const FILES = Object.fromEntries(
  Array.from({ length: 10 }, (_, i) => [
    `tests/f${i}.test.lua`,
    `test("one of ${i}", function(t) t:assert_eq(1, ${i === 7 ? 2 : 1}) end)\ntest("two of ${i}", function() end)\n`,
  ]),
);

/** Results by file and test, in an order of their own. */
const results = (json: string): string[] =>
  json
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .flatMap((line) => {
      const { path, tests } = JSON.parse(line) as { path: string; tests: { name: string; status: string }[] };
      return tests.map(({ name, status }) => `${path}: ${name}: ${status}`);
    })
    .sort();

test("an array job of a real Slurm and merge equal one run", async () => {
  const missing = slurmMissing();
  if (missing !== undefined) {
    console.log(`skipped: ${missing}`);
    return;
  }
  using project = new Project(FILES);
  // What the script calls: this executable, without machines.
  chmodSync(project.write("bin/provium", `#!/bin/sh\nexec ${EXECUTABLE} --vmm local "$@"\n`), 0o755);
  project.write("provium.sh", SCRIPT);
  project.write("timings.json", "{}");
  await using slurm = await Slurm.start(join(project.directory, "slurm"));
  const job = Bun.spawnSync(
    ["sbatch", "--wait", `--array=1-${PARTS}`, "--cpus-per-task=1", "--mem=100M", "provium.sh"],
    {
      cwd: project.directory,
      env: {
        ...slurm.environment,
        PATH: `${project.directory}/bin:${slurm.environment.PATH}`,
        PROVIUM_TMPDIR: project.temp,
      },
    },
  );
  const log = (name: string): string => readFileSync(join(project.directory, name), "utf8");
  const logs = readdirSync(project.directory).filter((name) => name.startsWith("provium-"));
  expect(logs.sort()).toEqual(["provium-1.log", "provium-2.log", "provium-3.log"]);
  // A part has a failing test: the job says so.
  expect(job.exitCode).toBe(1);
  const plans = logs.map((name) => /\(plan (\w+)\)/.exec(log(name))?.[1]);
  expect(new Set(plans).size).toBe(1);
  expect(log("provium-2.log")).toContain(`shard 2/${PARTS} as Slurm says`);
  const events = readdirSync(project.directory).filter((name) => name.startsWith("events-"));
  const merged = await project.run(["merge", ...events, "--json"]);
  const whole = await project.run(["tests", "--vmm", "local", "--json"]);
  expect(results(merged.stdout)).toEqual(results(whole.stdout));
  expect([merged.code, whole.code]).toEqual([1, 1]);
}, 600_000);

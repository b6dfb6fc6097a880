/**
 * `make test-again TIMES=20 LANES=3`: `make test` so often, LANES at a time, each lane in a clone of its own of the commit
 * that is checked out. No test is run twice to make it green. What each run printed is kept in build/again.
 */

import {
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
} from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type Subprocess, spawn, spawnSync } from "bun";

const LOGS = "build/again";
/** Bun itself: nobody wants to fetch it for every lane. */
const TOOLS = "build/tools";

const refuse = (why: string): never => {
  console.error(why);
  process.exit(2);
};
const count = (name: string, value: string): number => {
  const number = Number(value);
  return Number.isInteger(number) && number > 0 ? number : refuse(`${name}=${value} is no number of them`);
};
const git = (...words: string[]): string => {
  const { success, stdout, stderr } = spawnSync(["git", ...words]);
  return success ? stdout.toString().trim() : refuse(`git ${words[0]}: ${stderr.toString().trim()}`);
};

const times = count("TIMES", process.argv[2] ?? "20");
const lanes = Math.min(times, count("LANES", process.env.LANES || "3"));
const commit = git("rev-parse", "--short", "HEAD");
if (git("status", "--porcelain") !== "")
  console.error(`what is not committed is left out: ${commit} is tested`);

const clones = mkdtempSync(join(tmpdir(), "provium-again-"));
process.on("exit", () => rmSync(clones, { recursive: true, force: true }));
const logs = resolve(LOGS);
rmSync(logs, { recursive: true, force: true });
mkdirSync(logs, { recursive: true });
const running = new Set<Subprocess>();
let begun = 0;
let ended = 0;
let green = 0;
let interrupted = false;

const totals = (log: string): string =>
  readFileSync(log, "utf8")
    .split("\n")
    .findLast((line) => /\d+ passed, \d+ failed/.test(line)) ?? "it came to no totals";

const runOnce = async (clone: string, log: string): Promise<void> => {
  const out = openSync(log, "w");
  const started = performance.now();
  const child = spawn(["make", "test"], { cwd: clone, stdout: out, stderr: out });
  closeSync(out);
  running.add(child);
  const code = await child.exited;
  running.delete(child);
  if (interrupted) return;
  if (code === 0) green++;
  const minutes = ((performance.now() - started) / 60_000).toFixed(1);
  const load = loadavg()[0]?.toFixed(1);
  const verdict = code === 0 ? "green" : `RED, see ${log}`;
  console.log(`[${++ended}/${times}] ${verdict}, ${minutes} min, load ${load}: ${totals(log)}`);
};

const lane = async (name: string): Promise<void> => {
  const clone = join(clones, name);
  git("clone", "-q", ".", clone);
  if (existsSync(TOOLS)) cpSync(TOOLS, join(clone, TOOLS), { recursive: true, verbatimSymlinks: true });
  while (begun < times && !interrupted) await runOnce(clone, join(logs, `${++begun}.log`));
};

for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.on(signal, () => {
    interrupted = true;
    for (const child of running) child.kill("SIGTERM");
  });

await Promise.all(Array.from({ length: lanes }, (_, index) => lane(`lane-${index + 1}`)));
console.log(`${commit}: ${green} of ${ended} green, ${lanes} at a time`);
process.exit(interrupted ? 130 : green === times ? 0 : 1);

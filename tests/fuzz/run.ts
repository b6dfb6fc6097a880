/**
 * `make fuzz TIME=SECONDS`: every target for so long; `bun tests/fuzz/run.ts SECONDS NAME…` some. LANES=N takes N at a
 * time, else as many as there are processors.
 *
 * A long time goes in rounds over all targets, so that a run which is broken off has fed each about as much. What each
 * has been fed is entered in a ledger (tests/fuzz/ledger.ts).
 *
 * Targets in C (tests/fuzz/c) are built with libFuzzer where clang has it; elsewhere gcc builds them with a driver
 * that feeds them the corpus and changes of it. What libFuzzer learns stays in build/fuzz/corpus.
 */

import { availableParallelism } from "node:os";
import { parseDuration } from "../../src/config/units.ts";
import { COMMANDS, type Command } from "./commands.ts";
import { record, table } from "./ledger.ts";

const ROUND_SECONDS = 300;

const refuse = (why: string): never => {
  console.error(why);
  process.exit(2);
};

const [time = "10", ...wanted] = process.argv.slice(2);
const ms = parseDuration(time) ?? refuse(`TIME=${time} is no duration; say 10 (seconds), 5m or 1h`);
const seconds = Math.max(1, Math.round(ms / 1000));
const lanes = Number(process.env.LANES || availableParallelism());
if (!Number.isInteger(lanes) || lanes < 1) refuse(`LANES=${process.env.LANES} is no number of lanes`);
const known = COMMANDS.map(({ name }) => name);
for (const name of wanted)
  if (!known.includes(name)) refuse(`unknown target ${name} (known: ${known.join(", ")})`);
const chosen = COMMANDS.filter(({ name }) => wanted.length === 0 || wanted.includes(name));

const roundCount = Math.ceil(seconds / ROUND_SECONDS);
const queue: (readonly [Command, number])[] = [];
for (let round = 0; round < roundCount; round++)
  for (const command of chosen)
    queue.push([command, Math.min(ROUND_SECONDS, seconds - round * ROUND_SECONDS)]);
const turns = queue.length;

const failed = new Set<string>();
const running = new Set<Bun.Subprocess>();
/** Versions of targets that this run has fed. */
const fed = new Set<string>();
let done = 0;

const take = async (command: Command, secondsOfRound: number): Promise<void> => {
  const version = await command.version();
  fed.add(version);
  const child = Bun.spawn([...command.argv(secondsOfRound)], {
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, ASAN_OPTIONS: "detect_leaks=1" },
  });
  running.add(child);
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  running.delete(child);
  const said = `${out}${err}`;
  const inputs = Number(/number_of_executed_units:\s*(\d+)/.exec(said)?.[1] ?? 0);
  const used = Number(child.resourceUsage()?.cpuTime.total ?? 0) / 1e6;
  record({ target: command.name, version, seconds: used, inputs });
  const progress = `[${++done}/${turns}] ${command.name}:`;
  if (code === 0) {
    console.log(`${progress} ${inputs} inputs in ${used.toFixed(1)} s of processor, no finding`);
    return;
  }
  failed.add(command.name);
  console.log(`${progress} FAILED\n${said.slice(-8_000)}`);
};

/** A target that has failed is not fed again. */
const lane = async (): Promise<void> => {
  for (let turn = queue.shift(); turn !== undefined; turn = queue.shift()) {
    if (failed.has(turn[0].name)) done++;
    else await take(...turn);
  }
};

for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.on(signal, () => {
    for (const child of running) child.kill("SIGKILL");
    process.exit(130);
  });

await Promise.all(Array.from({ length: lanes }, lane));
console.log(`\nthese versions in all runs so far:\n${table(({ version }) => fed.has(version))}\n`);
console.log(
  `${chosen.length - failed.size} target(s) of ${chosen.length} without a finding, ${seconds} s each`,
);
process.exit(failed.size === 0 ? 0 : 1);

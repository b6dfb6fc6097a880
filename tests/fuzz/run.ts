/**
 * `make fuzz TIME=SECONDS`: every target for so long, one after another; `bun tests/fuzz/run.ts SECONDS NAME…` some.
 *
 * Targets in C (tests/fuzz/c) are built with libFuzzer where clang has it; elsewhere gcc builds them with a driver
 * that feeds them the corpus and changes of it. What libFuzzer learns stays in build/fuzz/corpus.
 */

import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { parseDuration } from "../../src/config/units.ts";
import { TARGETS } from "./ts/targets.ts";

const [time = "10", ...wanted] = process.argv.slice(2);
const ms = parseDuration(time);
if (ms === undefined) {
  console.error(`TIME=${time} is no duration; say 10 (seconds), 5m or 1h`);
  process.exit(2);
}
const seconds = Math.max(1, Math.round(ms / 1000));

const native = existsSync("tests/fuzz/c")
  ? readdirSync("tests/fuzz/c").flatMap((file) => /^fuzz_(\w+)\.c$/.exec(file)?.[1] ?? [])
  : [];

const nativeCommand = (name: string): string[] => {
  const learnt = `build/fuzz/corpus/${name}`;
  mkdirSync(learnt, { recursive: true });
  mkdirSync("build/fuzz/findings", { recursive: true });
  return [
    `build/fuzz/${name}`,
    `-max_total_time=${seconds}`,
    "-timeout=10",
    "-rss_limit_mb=2048",
    "-print_final_stats=1",
    "-verbosity=0",
    `-artifact_prefix=build/fuzz/findings/${name}-`,
    learnt,
    `tests/fuzz/corpus/${name}`,
  ];
};

const commands = new Map<string, string[]>([
  ...TARGETS.map(({ name }): [string, string[]] => [
    name,
    [process.execPath, "tests/fuzz/one.ts", name, String(seconds)],
  ]),
  ...native.map((name): [string, string[]] => [name, nativeCommand(name)]),
]);

for (const name of wanted)
  if (!commands.has(name)) {
    console.error(`unknown target ${name} (known: ${[...commands.keys()].join(", ")})`);
    process.exit(2);
  }

const failed: string[] = [];
let count = 0;
for (const [name, command] of commands) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  count++;
  const { exitCode, stdout, stderr } = Bun.spawnSync(command, {
    env: { ...process.env, ASAN_OPTIONS: "detect_leaks=1" },
  });
  const said = `${stdout}${stderr}`;
  const runs = /number_of_executed_units:\s*(\d+)/.exec(said)?.[1];
  if (exitCode !== 0) {
    failed.push(name);
    console.log(`${name}: FAILED\n${said.slice(-8_000)}`);
  } else console.log(runs === undefined ? said.trim() : `${name}: ${runs} inputs, no finding`);
}
console.log(`${count - failed.length} target(s) of ${count} without a finding, ${seconds} s each`);
process.exit(failed.length === 0 ? 0 : 1);

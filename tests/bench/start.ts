/** Wall time of `provium --version` beside `true` and `bun --version`, and the size of the executable. */

import { statSync } from "node:fs";
import { median } from "./statistics.ts";

const ROUNDS = 30;
const COMMANDS = { provium: ["dist/provium", "--version"], true: ["true"], bun: ["bun", "--version"] };
const times: Record<string, number[]> = {};
for (let round = 0; round < ROUNDS; round++) {
  for (const [name, command] of Object.entries(COMMANDS)) {
    const started = performance.now();
    Bun.spawnSync(command);
    times[name] ??= [];
    times[name].push(performance.now() - started);
  }
}
for (const [name, values] of Object.entries(times))
  console.log(`${name.padEnd(8)} ${median(values).toFixed(1).padStart(6)} ms median of ${ROUNDS}`);
console.log(`size     ${(statSync("dist/provium").size / 1024 / 1024).toFixed(1).padStart(6)} MiB`);

/**
 * `make chaos-matrix`: every cell of the table, LANES at a time; ONLY=PATTERN those whose name matches. Writes
 * build/chaos/matrix.json and prints the table of docs/reliability.md.
 */

import { mkdirSync, writeFileSync } from "node:fs";
import { type Result, runCell } from "./cell.ts";
import { Lane } from "./lane.ts";
import { buildPreload } from "./preload.ts";
import { CELLS, type Cell, nameOf } from "./table.ts";

const LANES = Number(process.env.LANES ?? 3);
const only = new RegExp(process.env.ONLY ?? "");
const cells = CELLS.filter((cell) => only.test(nameOf(cell)));
const TRIES = 3;

mkdirSync("build/chaos", { recursive: true });
const preload = buildPreload();
const queue = [...cells];
const results = new Map<Cell, Result>();

const work = async (): Promise<void> => {
  using lane = new Lane();
  for (let cell = queue.shift(); cell !== undefined; cell = queue.shift()) {
    let result = await runCell(cell, lane, preload);
    for (let turn = 1; turn < TRIES && result.ending === "missed"; turn++)
      result = await runCell(cell, lane, preload);
    results.set(cell, result);
    const word = result.ending === "missed" ? "miss" : result.problems.length === 0 ? "ok  " : "FAIL";
    console.log(
      `${word} ${nameOf(cell)}: ${result.ending} (${(result.ms / 1000).toFixed(1)} s)${result.problems.map((it) => `\n       ${it}`).join("")}`,
    );
    if (word === "FAIL") {
      const file = `build/chaos/${nameOf(cell).replaceAll(/[^a-z]+/g, "-")}.txt`;
      writeFileSync(file, result.text);
    }
  }
};
await Promise.all(Array.from({ length: Math.min(LANES, cells.length) }, work));

const good = [...results.values()].filter(({ problems }) => problems.length === 0).length;
writeFileSync(
  "build/chaos/matrix.json",
  `${JSON.stringify(
    cells.map((cell) => ({
      ...cell,
      ending: results.get(cell)?.ending,
      problems: results.get(cell)?.problems,
      ms: Math.round(results.get(cell)?.ms ?? 0),
    })),
    null,
    1,
  )}\n`,
);
const victims = [...new Set(cells.map(({ victim }) => victim))];
const faults = [...new Set(cells.map(({ fault }) => fault))];
console.log(`\n| | ${faults.join(" | ")} |\n|---|${faults.map(() => "---|").join("")}`);
for (const victim of victims) {
  const counts = faults.map((fault) => {
    const own = cells.filter((cell) => cell.victim === victim && cell.fault === fault);
    const passed = own.filter((cell) => results.get(cell)?.problems.length === 0).length;
    return own.length === 0 ? "" : passed === own.length ? String(passed) : `${passed} of ${own.length}`;
  });
  console.log(`| ${victim} | ${counts.join(" | ")} |`);
}
const missed = [...results.values()].filter(({ ending }) => ending === "missed").length;
console.log(
  `\n${good} cell(s) of ${cells.length} as the table says, ${missed} missed (the phase was over before the fault could come)`,
);
process.exit(good + missed === cells.length ? 0 : 1);

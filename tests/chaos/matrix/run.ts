/**
 * `make chaos-matrix`: every cell of the table, LANES at a time; ONLY=PATTERN those whose name matches, REST=1 those that have not
 * ended as the table says with this executable. Prints what is known of the whole table afterwards.
 */

import { mkdirSync, writeFileSync } from "node:fs";
import { runCell } from "./cell.ts";
import { figures } from "./figures.ts";
import { Lane } from "./lane.ts";
import { buildPreload } from "./preload.ts";
import { Results, type Verdict } from "./results.ts";
import { CELLS, nameOf } from "./table.ts";

const LANES = Number(process.env.LANES ?? 3);
const only = new RegExp(process.env.ONLY ?? "");
const results = new Results();
const cells = CELLS.filter(
  (cell) => only.test(nameOf(cell)) && !(process.env.REST === "1" && results.isSettled(cell)),
);

mkdirSync("build/chaos", { recursive: true });
const preload = buildPreload();
/** What is known least comes first. */
const ORDER: readonly Verdict[] = ["never", "FAIL", "miss", "ok"];
const queue = cells.toSorted((a, b) => ORDER.indexOf(results.verdict(a)) - ORDER.indexOf(results.verdict(b)));
// Asked to end, it finishes the cells that are under way.
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => queue.splice(0));

const work = async (): Promise<void> => {
  using lane = new Lane();
  for (let cell = queue.shift(); cell !== undefined; cell = queue.shift()) {
    const result = await runCell(cell, lane, preload);
    const verdict = results.add(cell, result);
    console.log(
      `${verdict.padEnd(4)} ${nameOf(cell)}: ${result.ending} (${(result.ms / 1000).toFixed(1)} s)${result.problems.map((it) => `\n       ${it}`).join("")}`,
    );
    if (verdict === "FAIL")
      writeFileSync(`build/chaos/${nameOf(cell).replaceAll(/[^a-z]+/g, "-")}.txt`, result.text);
  }
};
await Promise.all(Array.from({ length: Math.min(LANES, cells.length) }, work));

console.log(`\n${figures(CELLS, results)}`);
process.exit(cells.some((cell) => results.verdict(cell) === "FAIL") ? 1 : 0);

/** The table of docs/reliability.md: for each process and fault, how many cells ended as they must. */

import type { Results, Verdict } from "./results.ts";
import type { Cell } from "./table.ts";

const WORDS: Readonly<Record<Verdict, string>> = {
  ok: "as the table says",
  FAIL: "failed",
  miss: "missed (the phase was over before the fault could come)",
  never: "never tried",
};

const distinct = <T>(values: readonly T[]): T[] => [...new Set(values)];

const field = (cells: readonly Cell[], results: Results): string => {
  const passed = cells.filter((cell) => results.verdict(cell) === "ok").length;
  return cells.length === 0 ? "" : passed === cells.length ? String(passed) : `${passed} of ${cells.length}`;
};

export const figures = (cells: readonly Cell[], results: Results): string => {
  const faults = distinct(cells.map(({ fault }) => fault));
  const rows = distinct(cells.map(({ victim }) => victim)).map((victim) => {
    const own = cells.filter((cell) => cell.victim === victim);
    const fields = faults.map((fault) =>
      field(
        own.filter((cell) => cell.fault === fault),
        results,
      ),
    );
    return `| ${victim} | ${fields.join(" | ")} |`;
  });
  const sums = (Object.entries(WORDS) as [Verdict, string][]).flatMap(([verdict, words]) => {
    const sum = cells.filter((cell) => results.verdict(cell) === verdict).length;
    return sum === 0 ? [] : [`${sum} ${words}`];
  });
  return [
    `| | ${faults.join(" | ")} |`,
    `|---|${faults.map(() => "---|").join("")}`,
    ...rows,
    "",
    `${cells.length} cells: ${sums.join(", ")}; tried with ${results.builds(cells)} executable(s)`,
  ].join("\n");
};

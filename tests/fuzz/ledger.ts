/**
 * What each target has been fed so far, over all runs: a line of JSON a round. Rounds count for the version of the
 * target that they were run with. `bun tests/fuzz/ledger.ts` prints the sums of all versions as a table of Markdown.
 */

import { appendFileSync, mkdirSync, readFileSync } from "node:fs";
import { dirname } from "node:path";

const LEDGER = "build/fuzz/ledger.jsonl";

export interface Round {
  readonly target: string;
  readonly version: string;
  /** Of the processor, so that what a busy machine takes away does not count. */
  readonly seconds: number;
  readonly inputs: number;
}

export const record = (round: Round): void => {
  mkdirSync(dirname(LEDGER), { recursive: true });
  appendFileSync(LEDGER, `${JSON.stringify(round)}\n`);
};

const recorded = (): readonly Round[] => {
  try {
    return readFileSync(LEDGER, "utf8")
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as Round);
  } catch {
    return [];
  }
};

const grouped = (rounds: readonly Round[]): Map<string, Round[]> =>
  Map.groupBy(rounds, ({ target, version }) => `${target} ${version}`);

const span = (seconds: number): string =>
  seconds < 120 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`;

/** A row for each version of each target, in the order in which they were first fed; of some rounds or of all. */
export const table = (wanted: (round: Round) => boolean = () => true): string => {
  const rows = [...grouped(recorded().filter(wanted)).values()].map((of) => {
    const { target, version } = of[0] as Round;
    const sum = (key: "seconds" | "inputs"): number => of.reduce((all, round) => all + round[key], 0);
    return `| \`${target}\` | ${version} | ${span(sum("seconds"))} | ${sum("inputs").toLocaleString("en")} |`;
  });
  return ["| target | version | processor | inputs |", "|---|---|---|---|", ...rows].join("\n");
};

if (import.meta.main) console.log(table());

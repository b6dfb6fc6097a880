/**
 * What is known of the cells: build/chaos/matrix.json. A run of some cells replaces what was known of those, so that the parts
 * of a table that takes hours add up. Each cell names the executable it was tried with.
 */

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { Result } from "./cell.ts";
import { type Cell, nameOf } from "./table.ts";

const FILE = "build/chaos/matrix.json";

/** `miss`: the phase was over before the fault could come; `never`: not tried. */
export type Verdict = "ok" | "miss" | "FAIL" | "never";

interface Known {
  readonly verdict: Verdict;
  readonly ending: Result["ending"];
  readonly problems: readonly string[];
  readonly seconds: number;
  /** The beginning of the executable's SHA-256. */
  readonly build: string;
}

const verdictOf = ({ ending, problems }: Result): Verdict =>
  ending === "missed" ? "miss" : problems.length === 0 ? "ok" : "FAIL";

export class Results {
  readonly build = createHash("sha256").update(readFileSync("dist/provium")).digest("hex").slice(0, 12);
  private readonly known = new Map<string, Known>(
    existsSync(FILE) ? Object.entries(JSON.parse(readFileSync(FILE, "utf8")) as Record<string, Known>) : [],
  );

  /** Adds it to the file at once: a run may be ended at any moment. */
  add(cell: Cell, result: Result): Verdict {
    const verdict = verdictOf(result);
    const { ending, problems, ms } = result;
    const seconds = Math.round(ms / 100) / 10;
    this.known.set(nameOf(cell), { verdict, ending, problems, seconds, build: this.build });
    mkdirSync(dirname(FILE), { recursive: true });
    writeFileSync(`${FILE}.new`, `${JSON.stringify(Object.fromEntries(this.known), null, 1)}\n`);
    renameSync(`${FILE}.new`, FILE);
    return verdict;
  }

  verdict(cell: Cell): Verdict {
    return this.known.get(nameOf(cell))?.verdict ?? "never";
  }

  /** It has ended as the table says with the executable that is there now. */
  isSettled(cell: Cell): boolean {
    return this.verdict(cell) === "ok" && this.known.get(nameOf(cell))?.build === this.build;
  }

  /** With how many executables these cells were tried. */
  builds(cells: readonly Cell[]): number {
    return new Set(cells.flatMap((cell) => this.known.get(nameOf(cell))?.build ?? [])).size;
  }
}

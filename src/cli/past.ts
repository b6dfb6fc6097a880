/** What earlier runs have left for this one, and what this one leaves: how long files took, and which failed. */

import { join } from "node:path";
import type { TestFile } from "../dispatch/discover.ts";
import type { Outcome } from "../dispatch/dispatcher.ts";
import { longestFirst, readTimings, type Timings, writeTimings } from "../dispatch/timings.ts";

const TIMINGS = "timings.json";

export class Past {
  private readonly file: string;
  private readonly timings: Timings;

  constructor(cacheDir: string) {
    this.file = join(cacheDir, TIMINGS);
    this.timings = readTimings(this.file);
  }

  /** Milliseconds that a file took when it last ran. */
  timeOf(file: TestFile): number | undefined {
    return this.timings.get(file.file);
  }

  /** The order in which files should start. */
  inOrder(files: readonly TestFile[]): TestFile[] {
    return longestFirst(files, (file) => this.timeOf(file));
  }

  /** Keeps what this run has measured; what kept it from doing so, if anything. */
  remember(files: readonly TestFile[], outcome: Outcome): string | undefined {
    const measured = new Map<string, number>();
    for (const { file, path } of files) {
      const ms = outcome.times.get(path);
      // What was cut short says nothing about the next time.
      if (ms !== undefined && !outcome.interrupted) measured.set(file, ms);
    }
    try {
      writeTimings(this.file, measured);
      return undefined;
    } catch (error) {
      return (error as Error).message;
    }
  }
}

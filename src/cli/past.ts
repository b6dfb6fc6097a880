/** What earlier runs have left for this one, and what this one leaves: how long files took, and which failed. */

import { join, resolve } from "node:path";
import type { TestFile } from "../dispatch/discover.ts";
import type { Outcome } from "../dispatch/dispatcher.ts";
import { readFailures, writeFailures } from "../dispatch/failures.ts";
import { longestFirst, readTimings, type Timings, writeTimings } from "../dispatch/timings.ts";

export class Past {
  private readonly timingsFile: string;
  private readonly failuresFile: string;
  private readonly timings: Timings;

  constructor(cacheDir: string, environment: NodeJS.ProcessEnv) {
    this.timingsFile = join(cacheDir, "timings.json");
    this.failuresFile = resolve(environment.PROVIUM_RERUN_STATE || join(cacheDir, "rerun.json"));
    this.timings = readTimings(this.timingsFile);
  }

  /** Milliseconds that a file took when it last ran. */
  timeOf(file: TestFile): number | undefined {
    return this.timings.get(file.file);
  }

  /** Absolute paths of files that failed when they last ran. Throws an error of one line. */
  failures(): ReadonlySet<string> | undefined {
    return readFailures(this.failuresFile);
  }

  /** The order in which files should start. */
  inOrder(files: readonly TestFile[]): TestFile[] {
    return longestFirst(files, (file) => this.timeOf(file));
  }

  /**
   * Keeps what this run has found, with its timings also in `copy`, by paths of the run, for other hosts. Returns
   * what could not be kept.
   */
  remember(files: readonly TestFile[], outcome: Outcome, copy: string | undefined): string[] {
    const measured = new Map<string, number>();
    const byPath = new Map<string, number>();
    const ran = new Set<string>();
    const failed = new Set<string>();
    for (const { file, path } of files) {
      const status = outcome.statuses.get(path);
      if (status === undefined) continue;
      ran.add(file);
      if (status !== "passed") failed.add(file);
      // What was cut short says nothing about the next time.
      const ms = outcome.times.get(path);
      if (ms === undefined || outcome.interrupted) continue;
      measured.set(file, ms);
      if (!byPath.has(path)) byPath.set(path, ms);
    }
    const complaints: string[] = [];
    const attempt = (write: () => void): void => {
      try {
        write();
      } catch (error) {
        complaints.push((error as Error).message);
      }
    };
    attempt(() => writeTimings(this.timingsFile, measured));
    attempt(() => writeFailures(this.failuresFile, ran, failed));
    if (copy !== undefined) attempt(() => writeTimings(copy, byPath));
    return complaints;
  }
}

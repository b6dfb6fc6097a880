/** How long each file took when it last ran, kept from run to run: for starting the longest first, and for shards. */

import { readState, writeState } from "./state-file.ts";

/** Milliseconds by the file's absolute path, or by its path within the run in a file that is handed from host to host. */
export type Timings = ReadonlyMap<string, number>;

/** A state file of this many entries is a megabyte or two; the ones not seen for longest go. */
const MOST_ENTRIES = 20_000;

const isEntry = (entry: [string, unknown]): entry is [string, number] =>
  typeof entry[1] === "number" && Number.isFinite(entry[1]) && entry[1] >= 0;

/** What `file` says; empty when it says nothing that we understand. */
export const readTimings = (file: string): Timings => {
  let state: unknown;
  try {
    state = readState(file);
  } catch {
    return new Map();
  }
  const files = (state as { files?: unknown } | null | undefined)?.files;
  return new Map(typeof files === "object" && files !== null ? Object.entries(files).filter(isEntry) : []);
};

/** Adds what this run measured to what is known. Throws an error of one line. */
export const writeTimings = (file: string, measured: Timings): void => {
  if (measured.size === 0) return;
  // A map keeps the order in which keys were set first: what has just run moves to the end.
  const files = new Map(readTimings(file));
  for (const [path, ms] of measured) {
    files.delete(path);
    files.set(path, Math.round(ms));
  }
  const kept = [...files].slice(-MOST_ENTRIES);
  writeState(file, { version: 1, files: Object.fromEntries(kept) });
};

/** The one in the middle; 0 of none. */
export const middle = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

/**
 * The longest first, so that the end of a run is not one long file alone; one that was never timed counts as long
 * as the middle one. Files of the same length keep their order.
 */
export const longestFirst = <T>(files: readonly T[], timeOf: (file: T) => number | undefined): T[] => {
  const times = files.map(timeOf);
  const known = times.filter((time) => time !== undefined);
  const usual = middle(known);
  return files
    .map((file, i) => ({ file, ms: times[i] ?? usual }))
    .sort((a, b) => b.ms - a.ms)
    .map(({ file }) => file);
};

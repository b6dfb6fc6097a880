/** Which files failed when they last ran, for `--rerun-failed`. */

import { readState, writeState } from "./state-file.ts";

/** Absolute paths; undefined when nothing is known. Throws an error of one line for a file that says nothing we understand. */
export const readFailures = (file: string): ReadonlySet<string> | undefined => {
  const state = readState(file);
  if (state === undefined) return undefined;
  const failed = (state as { failed?: unknown } | null)?.failed;
  if (!Array.isArray(failed) || failed.some((path) => typeof path !== "string"))
    throw new Error(`${file} holds no list of failed files`);
  return new Set(failed as string[]);
};

/**
 * Notes what a run has found, when it has found failures; a clean run leaves the file alone. What other runs have
 * found about files that did not run now stays. Throws an error of one line.
 */
export const writeFailures = (file: string, ran: ReadonlySet<string>, failed: ReadonlySet<string>): void => {
  if (failed.size === 0) return;
  let before: ReadonlySet<string> | undefined;
  try {
    before = readFailures(file);
  } catch {
    // It was of no use, and is replaced.
  }
  const others = [...(before ?? [])].filter((path) => !ran.has(path));
  writeState(file, { version: 1, failed: [...others, ...failed] });
};

/**
 * Files that several processes read and write at the same time: they appear, and change, as a whole. A reader sees the
 * old content or the new one, never half of it: rename(2).
 */

import { randomBytes } from "node:crypto";
import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

/** Beside `path`, where nobody else writes: two containers that share a cache may well share process ids. */
export const draftOf = (path: string): string => `${path}.${randomBytes(6).toString("hex")}.new`;

/** Never fails: what keeps a draft from being written may keep it from being removed, and the first error is the one to tell. */
export const dropDraft = (draft: string): void => {
  try {
    rmSync(draft, { force: true });
  } catch {
    // It is not there, or not ours.
  }
};

/** The directory is made where it is missing. Throws the system's error, and leaves nothing then. */
export const writeWhole = (path: string, data: Uint8Array | string): void => {
  const draft = draftOf(path);
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    writeFileSync(draft, data, { mode: 0o600, flag: "wx" });
    renameSync(draft, path);
  } catch (error) {
    dropDraft(draft);
    throw error;
  }
};

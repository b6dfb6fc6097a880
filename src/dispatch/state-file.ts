/**
 * Small JSON files that one run leaves for the next. They are advice: what cannot be read counts as absent, what
 * cannot be written is said once, and no run fails over either.
 */

import { readFileSync } from "node:fs";
import { writeWhole } from "../sys/whole-file.ts";

/** The value in `file`; undefined when there is no such file. Throws an error of one line for anything else. */
export const readState = (file: string): unknown => {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw new Error(`${file} cannot be read (${code})`, { cause });
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Error(`${file} is not JSON`, { cause });
  }
};

/** Replaces `file` as a whole: a reader sees the old or the new one. Throws an error of one line. */
export const writeState = (file: string, value: unknown): void => {
  try {
    writeWhole(file, `${JSON.stringify(value)}\n`);
  } catch (cause) {
    throw new Error(`${file} cannot be written (${(cause as NodeJS.ErrnoException).code})`, { cause });
  }
};

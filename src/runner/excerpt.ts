/** The lines of a Lua file around the one that failed. */

import { readFileSync } from "node:fs";
import type { SourceExcerpt } from "../events/types.ts";

/** Lines shown before and after. */
const AROUND = 2;
const LONGEST_LINE = 200;

/** The last word of "in method 'assert_eq'". */
const CALLEE = /'(?:[^']*[.:])?(\w+)'$/;

/** Where a call of `callee` stands in a line, else its first word; from 1. */
const columnOf = (line: string, callee: string | undefined): number => {
  const name = callee === undefined ? undefined : CALLEE.exec(callee)?.[1];
  const at = name === undefined ? -1 : line.search(new RegExp(`\\b${name}\\b`));
  return Math.max(0, at >= 0 ? at : line.search(/\S/)) + 1;
};

/** `callee`: how Lua names the function that raised the error. Undefined when the file cannot be read. */
export const excerptOf = (
  path: string,
  line: number,
  callee: string | undefined,
): SourceExcerpt | undefined => {
  let lines: string[];
  try {
    lines = readFileSync(path, "utf8").split("\n");
  } catch {
    return undefined;
  }
  const failing = lines[line - 1];
  if (failing === undefined) return undefined;
  const first = Math.max(1, line - AROUND);
  const shown = lines.slice(first - 1, line + AROUND).map((each) => each.trimEnd().slice(0, LONGEST_LINE));
  // A last line that is empty is the end of the file.
  if (shown.at(-1) === "" && shown.length > line - first + 1) shown.pop();
  return { first_line: first, lines: shown, column: Math.min(columnOf(failing, callee), LONGEST_LINE) };
};

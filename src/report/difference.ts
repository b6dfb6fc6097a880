/** Two values that were to be equal, shown as what one has and the other has not. */

import { structuredPatch } from "diff";
import type { Comparison } from "../events/types.ts";
import type { Palette } from "./colours.ts";
import { oneLine, visible } from "./text.ts";

/** Values that are no longer stand in the message, side by side. */
const SHORT = 40;
const MOST_LINES = 60;
/** Beyond so many changes a difference explains nothing and takes its time. */
const MOST_CHANGES = 2000;

const capped = (lines: readonly string[]): string[] =>
  lines.length <= MOST_LINES
    ? [...lines]
    : [...lines.slice(0, MOST_LINES), `… ${lines.length - MOST_LINES} more line(s)`];

const linesOf = (text: string): string[] => text.replace(/\n$/, "").split("\n");

/** One line each, and a mark below the first character that differs. */
const sideBySide = (left: string, right: string, colour: Palette): string[] => {
  let same = 0;
  while (same < left.length && left[same] === right[same]) same++;
  // A long text that begins alike is shown from where it gets interesting.
  const from = same > SHORT ? same - SHORT / 2 : 0;
  const part = (text: string): string => (from > 0 ? "…" : "") + text.slice(from, from + 4 * SHORT);
  const mark = " ".repeat(same - from + (from > 0 ? 1 : 0));
  return [colour.bad(`- ${part(left)}`), colour.good(`+ ${part(right)}`), `  ${mark}^`];
};

/** Lines without margin; empty when the message has said it all. */
export const renderDifference = (comparison: Comparison, colour: Palette): readonly string[] => {
  const [left, right] = [visible(comparison.left), visible(comparison.right)];
  if (left === right)
    return left.length <= SHORT && !left.includes("\n")
      ? []
      : ["both print the same: tables are equal when they are one table (the global assert_eq looks inside)"];
  const heading = `difference (- ${oneLine(comparison.left_name)}, + ${oneLine(comparison.right_name)}):`;
  if (!left.includes("\n") && !right.includes("\n"))
    return Math.max(left.length, right.length) <= SHORT ? [] : [heading, ...sideBySide(left, right, colour)];
  // Whether a text ends with a line break matters only where the other does not.
  const end = left.endsWith("\n") || right.endsWith("\n") ? "" : "\n";
  const patch = structuredPatch("", "", left + end, right + end, "", "", {
    context: 3,
    maxEditLength: MOST_CHANGES,
  });
  if (patch === undefined)
    return [
      heading,
      ...capped(linesOf(left)).map((line) => colour.bad(`- ${line}`)),
      ...capped(linesOf(right)).map((line) => colour.good(`+ ${line}`)),
    ];
  const lines = patch.hunks.flatMap((hunk, i) => [
    ...(i > 0 || hunk.oldStart > 1 ? [colour.faint("  …")] : []),
    ...hunk.lines.map((line) => {
      const text = `${line.slice(0, 1)} ${line.slice(1)}`.trimEnd();
      return line.startsWith("-") ? colour.bad(text) : line.startsWith("+") ? colour.good(text) : text;
    }),
  ]);
  return [heading, ...capped(lines)];
};

/** How a failure is told: message, difference, place, traceback, console, and how to see it again. One pure function. */

import type { FailureDetail, SourceExcerpt } from "../events/types.ts";
import type { Palette } from "./colours.ts";
import { renderDifference } from "./difference.ts";
import { indent, tail, visible } from "./text.ts";

const CONSOLE_LINES = 30;

export interface Failure {
  readonly message: string;
  readonly detail: FailureDetail;
  readonly consoleExcerpt: string;
  readonly log: readonly string[];
  /** The command that repeats it. */
  readonly rerun?: string | undefined;
}

const place = (detail: FailureDetail): string | undefined =>
  detail.file === undefined
    ? undefined
    : `${detail.file}${detail.line === undefined ? "" : `:${detail.line}`}`;

/** Tabs and wide characters in front of the column take as much room in the mark's line. */
const lead = (line: string, column: number): string =>
  line.slice(0, column - 1).replace(/[^\t]/gu, (char) => " ".repeat(Math.max(0, Bun.stringWidth(char))));

/** The lines around the failing one, numbered, with a mark below the call. */
const renderExcerpt = (excerpt: SourceExcerpt, failing: number, colour: Palette): string[] => {
  const width = String(excerpt.first_line + excerpt.lines.length - 1).length;
  return excerpt.lines.flatMap((line, i) => {
    const number = excerpt.first_line + i;
    const gutter = `${number === failing ? ">" : " "} ${String(number).padStart(width)} │`;
    if (number !== failing) return [colour.faint(`${gutter} ${visible(line)}`.trimEnd())];
    const mark = `  ${" ".repeat(width)} │ ${lead(line, excerpt.column)}${colour.bad("^")}`;
    return [`${gutter} ${visible(line)}`, mark];
  });
};

const renderPlace = (failure: Failure, colour: Palette): string[] => {
  const { detail, message } = failure;
  const where = place(detail);
  if (where === undefined) return [];
  // Lua puts the position in front of its messages already.
  const parts = message.startsWith(`${where}:`) ? [] : [`at ${colour.strong(visible(where))}`];
  if (detail.excerpt !== undefined && detail.line !== undefined)
    parts.push(...renderExcerpt(detail.excerpt, detail.line, colour));
  else if (detail.source !== undefined && detail.source.trim() !== "")
    parts.push(
      `${colour.faint(`${String(detail.line ?? "").padStart(5)} │`)} ${visible(detail.source.trim())}`,
    );
  return parts;
};

/** Lines behind `margin`; each part appears only when there is something to say. */
export const renderFailure = (failure: Failure, margin: string, colour: Palette): string => {
  const { detail } = failure;
  const parts = [visible(failure.message)];
  if (detail.comparison !== undefined) parts.push(...renderDifference(detail.comparison, colour));
  parts.push(...renderPlace(failure, colour));
  if (detail.hint !== undefined && !failure.message.includes(detail.hint))
    parts.push(`try: ${visible(detail.hint)}`);
  if (detail.traceback !== undefined && detail.traceback.trim() !== "")
    parts.push(colour.faint(visible(detail.traceback)));
  if (failure.log.length > 0) parts.push(indent(visible(failure.log.join("\n")), "log: "));
  if (failure.consoleExcerpt.trim() !== "") {
    parts.push(colour.faint("console:"));
    parts.push(colour.faint(indent(tail(visible(failure.consoleExcerpt), CONSOLE_LINES), "  │ ")));
  }
  if (failure.rerun !== undefined) parts.push(colour.faint(`again: ${visible(failure.rerun)}`));
  return parts.map((part) => indent(part, margin)).join("\n");
};

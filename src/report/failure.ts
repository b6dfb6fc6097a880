/** How a failure is told: message, place, source line, traceback, console. One pure function. */

import type { FailureDetail } from "../events/types.ts";
import type { Palette } from "./colours.ts";
import { indent, tail, visible } from "./text.ts";

const CONSOLE_LINES = 30;

export interface Failure {
  readonly message: string;
  readonly detail: FailureDetail;
  readonly consoleExcerpt: string;
  readonly log: readonly string[];
}

const place = (detail: FailureDetail): string | undefined =>
  detail.file === undefined
    ? undefined
    : `${detail.file}${detail.line === undefined ? "" : `:${detail.line}`}`;

/** Lines behind `margin`; each part appears only when there is something to say. */
export const renderFailure = (failure: Failure, margin: string, colour: Palette): string => {
  const { detail } = failure;
  const parts = [indent(visible(failure.message), margin)];
  const where = place(detail);
  if (where !== undefined) {
    // Lua puts the position in front of its messages already.
    if (!failure.message.startsWith(`${where}:`)) parts.push(`${margin}at ${colour.strong(visible(where))}`);
    if (detail.source !== undefined && detail.source.trim() !== "")
      parts.push(
        `${margin}${colour.faint(`${String(detail.line ?? "").padStart(5)} │`)} ${visible(detail.source.trim())}`,
      );
  }
  if (detail.hint !== undefined && !failure.message.includes(detail.hint))
    parts.push(indent(`try: ${visible(detail.hint)}`, margin));
  if (detail.traceback !== undefined && detail.traceback.trim() !== "")
    parts.push(colour.faint(indent(visible(detail.traceback), margin)));
  if (failure.log.length > 0) parts.push(indent(visible(failure.log.join("\n")), `${margin}log: `));
  if (failure.consoleExcerpt.trim() !== "") {
    parts.push(`${margin}${colour.faint("console:")}`);
    parts.push(colour.faint(indent(tail(visible(failure.consoleExcerpt), CONSOLE_LINES), `${margin}  │ `)));
  }
  return parts.join("\n");
};

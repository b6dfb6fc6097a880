/**
 * Result lines of TAP 14 and of the kernel's dialect KTAP: "ok 1 name", "not ok 2 - name # SKIP why",
 * subtests indented. Sources: testanything.org's specification, the kernel's Documentation/dev-tools/ktap.rst.
 */

import { ApiError } from "../errors/errors.ts";

/** More than the largest suites print. Each is a test of its own in every report, and a guest prints as much as it likes. */
const MOST_RESULTS = 100_000;

export interface SubResult {
  readonly name: string;
  readonly outcome: "passed" | "failed" | "skipped";
  /** Why it was skipped, or the lines around a failure. */
  readonly reason: string;
}

// The lines come from a guest. Each pattern matches at one place only or begins with a word of its own, so that no
// line takes more than its length; and "." is every character, so that no control character hides a result.
const LINE = /^\s*(?:\[\s*\d+\.\d+\]\s*)?(not )?ok\b(.*)$/s;
const NUMBER = /^\d+/;
const DIRECTIVE = /#\s*(SKIP|TODO|XFAIL|TIMEOUT|ERROR)\b:?(.*)$/is;

/** Every result line, in order. A line that is no result is no concern of ours. Throws `ApiError` for too many. */
export const ktapResults = (text: string): readonly SubResult[] => {
  const found: SubResult[] = [];
  for (const line of text.split(/\r?\n/)) {
    const match = LINE.exec(line);
    if (match === null) continue;
    if (found.length === MOST_RESULTS)
      throw new ApiError(`t:ktap: the text has more than ${MOST_RESULTS} result lines`, {
        hint: "report parts of it in several tests",
      });
    const not = match[1];
    const numbered = (match[2] as string).trimStart();
    const number = NUMBER.exec(numbered)?.[0] ?? "";
    const rest = numbered.slice(number.length).trimStart().replace(/^-\s+/, "");
    const directive = DIRECTIVE.exec(rest);
    const name = rest.slice(0, directive?.index).trim();
    const word = directive?.[1]?.toUpperCase();
    const excused = word === "SKIP" || word === "TODO" || word === "XFAIL";
    found.push({
      name: name === "" ? `#${number || found.length + 1}` : name,
      outcome: excused ? "skipped" : not === undefined ? "passed" : "failed",
      reason: excused ? directive?.[2]?.trim() || word || "" : line.trim(),
    });
  }
  return found;
};

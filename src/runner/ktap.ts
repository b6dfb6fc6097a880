/**
 * Result lines of TAP 14 and of the kernel's dialect KTAP: "ok 1 name", "not ok 2 - name # SKIP why",
 * subtests indented. Sources: testanything.org's specification, the kernel's Documentation/dev-tools/ktap.rst.
 */

export interface SubResult {
  readonly name: string;
  readonly outcome: "passed" | "failed" | "skipped";
  /** Why it was skipped, or the lines around a failure. */
  readonly reason: string;
}

const LINE = /^\s*(?:\[\s*\d+\.\d+\]\s*)?(not )?ok\b\s*(\d+)?\s*(?:-\s+)?(.*)$/;
const DIRECTIVE = /\s*#\s*(SKIP|TODO|XFAIL|TIMEOUT|ERROR)\b:?\s*(.*)$/i;

/** Every result line, in order. A line that is no result is no concern of ours. */
export const ktapResults = (text: string): readonly SubResult[] => {
  const found: SubResult[] = [];
  for (const line of text.split(/\r?\n/)) {
    const match = LINE.exec(line);
    if (match === null) continue;
    const [, not, number, rest] = match;
    const directive = DIRECTIVE.exec(rest as string);
    const name = (directive === null ? (rest as string) : (rest as string).slice(0, directive.index)).trim();
    const word = directive?.[1]?.toUpperCase();
    const excused = word === "SKIP" || word === "TODO" || word === "XFAIL";
    found.push({
      name: name === "" ? `#${number ?? found.length + 1}` : name,
      outcome: excused ? "skipped" : not === undefined ? "passed" : "failed",
      reason: excused ? directive?.[2] || word || "" : line.trim(),
    });
  }
  return found;
};

/** The last line of a run. */

import type { RunRecord } from "./record.ts";

/** `3 file(s); 5 passed, 1 failed, 0 skipped; 12.34s`, and further lines for what one might overlook. */
export const summarize = (run: RunRecord): string => {
  const seconds = (run.durationNs / 1e9).toFixed(2);
  const lines = [
    `${run.files} file(s); ${run.passed} passed, ${run.failed} failed, ${run.skipped} skipped; ${seconds}s`,
  ];
  const left = run.discovered - run.files;
  if (run.interrupted) lines.push(`interrupted${left > 0 ? `; ${left} file(s) not run` : ""}`);
  else if (left > 0) lines.push(`${left} file(s) not run`);
  if (run.skipped > 0 && run.passed + run.failed === 0) lines.push("no test ran: all were skipped");
  if (run.flakyFiles > 0)
    lines.push(`${run.flakyFiles} file(s) flaky: they passed after an attempt that had failed`);
  return lines.join("\n");
};

/** The JSON reporter: one object a line for each file; notices and the summary go to the text side (stderr). */

import type { Consumer } from "../events/stream.ts";
import { recordRun } from "./record.ts";
import { summarize } from "./summary.ts";

export interface JsonOptions {
  readonly write: (text: string) => void;
  readonly writeText: (text: string) => void;
}

/** A consumer that writes the JSON report. */
export const jsonReporter = (options: JsonOptions): Consumer =>
  recordRun({
    notice(level, text) {
      options.writeText(`provium: ${level === "warning" ? "warning: " : ""}${text}\n`);
    },
    file(record) {
      const object = {
        path: record.path,
        dialect: record.dialect ?? null,
        status: record.status,
        timeout: record.status === "timed_out" ? "timed_out" : "in_time",
        passed: record.status === "passed",
        chunk_error: record.error ?? null,
        duration_ns: record.durationNs,
        tests: record.tests.map((test) => ({
          name: test.name,
          status: test.status,
          message: test.message ?? null,
          log: test.log,
          duration_ns: test.durationNs,
          ...(test.status === "failed" ? { detail: test.detail, console_excerpt: test.consoleExcerpt } : {}),
        })),
        output: record.output,
      };
      options.write(`${JSON.stringify(object)}\n`);
    },
    run(record) {
      options.writeText(`${summarize(record)}\n`);
    },
  });

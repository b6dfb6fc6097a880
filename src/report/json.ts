/** The JSON reporter: one object a line for each file; notices and the summary go to the text side (stderr). */

import type { MetaValue } from "../events/types.ts";
import { type RunInfo, recordRun } from "./record.ts";
import type { Reporter } from "./reporter.ts";
import { rerunCommand } from "./rerun.ts";
import { summarize } from "./summary.ts";
import { harmlessJson, visible } from "./text.ts";

/** Metadata in JSON: bytes as their base64, integers beyond what every reader holds exactly as text. */
const jsonValue = (value: MetaValue): unknown => {
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  if (Array.isArray(value)) return value.map(jsonValue);
  if (typeof value === "number" && !Number.isFinite(value)) return String(value);
  return typeof value === "object" && value !== null
    ? Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, jsonValue(inner as MetaValue)]))
    : value;
};

/** A consumer that writes the JSON report. */
export const jsonReporter: Reporter = (options) => {
  let info: RunInfo | undefined;
  return recordRun({
    info(given) {
      info = given;
    },
    notice(level, text) {
      options.writeNotice(`provium: ${level === "warning" ? "warning: " : ""}${visible(text)}\n`);
    },
    file(record) {
      const object = {
        path: record.path,
        location: record.location,
        dialect: record.dialect ?? null,
        status: record.status,
        timeout: record.status === "timed_out" ? "timed_out" : "in_time",
        passed: record.status === "passed",
        chunk_error: record.error ?? null,
        duration_ns: record.durationNs,
        attempts: record.attempts,
        flaky: record.flaky,
        tests: record.tests.map((test) => ({
          name: test.name,
          status: test.status,
          message: test.message ?? null,
          log: test.log,
          duration_ns: test.durationNs,
          parent: test.parent ?? null,
          flaky: test.flaky,
          rerun: test.status === "failed" ? (rerunCommand(info, record, test) ?? null) : null,
          meta: jsonValue(test.meta),
          ...(test.status === "failed" ? { detail: test.detail, console_excerpt: test.consoleExcerpt } : {}),
        })),
        output: record.output,
      };
      options.write(`${harmlessJson(JSON.stringify(object))}\n`);
    },
    run(record) {
      options.writeNotice(`${summarize(record)}\n`);
    },
  });
};

/** TAP version 14 (testanything.org): a test point a file, with its tests as a subtest. */

import { plainPalette } from "./colours.ts";
import { renderDifference } from "./difference.ts";
import { type FileRecord, type RunInfo, recordRun, type TestRecord } from "./record.ts";
import type { Reporter } from "./reporter.ts";
import { rerunCommand } from "./rerun.ts";
import { indent, oneLine, visible } from "./text.ts";

/** A description on one line; `#` would begin a directive. */
const description = (text: string): string => oneLine(text).replaceAll("\\", "\\\\").replaceAll("#", "\\#");

/** A YAML block; texts are written as JSON, which YAML contains. */
const block = (fields: Readonly<Record<string, string | undefined>>): string => {
  const lines = Object.entries(fields).flatMap(([key, value]) =>
    value === undefined || value === "" ? [] : [`${key}: ${JSON.stringify(visible(value))}`],
  );
  return lines.length === 0 ? "" : `\n  ---\n${indent(lines.join("\n"), "  ")}\n  ...`;
};

const point = (test: TestRecord, number: number, rerun: string | undefined): string => {
  const name = description(test.name);
  if (test.status === "passed") return `ok ${number} - ${name}`;
  if (test.status === "skipped") return `ok ${number} - ${name} # SKIP ${description(test.message ?? "")}`;
  const { file, line, comparison, traceback } = test.detail;
  return `not ok ${number} - ${name}${block({
    message: test.message,
    difference: comparison && renderDifference(comparison, plainPalette).join("\n"),
    at: file === undefined ? undefined : `${file}${line === undefined ? "" : `:${line}`}`,
    stack: traceback,
    log: test.log.join("\n"),
    console: test.consoleExcerpt,
    again: rerun,
  })}`;
};

const renderFile = (file: FileRecord, number: number, info: RunInfo | undefined): string => {
  const points = file.tests.map((test, i) => point(test, i + 1, rerunCommand(info, file, test)));
  const inside = [`# Subtest: ${description(file.path)}`, ...points, `1..${points.length}`];
  const good = file.status === "passed";
  const why = good
    ? ""
    : block({ status: file.status, message: file.error, again: rerunCommand(info, file) });
  return `${indent(inside.join("\n"), "    ")}\n${good ? "ok" : "not ok"} ${number} - ${description(file.path)}${why}\n`;
};

export const tapReporter: Reporter = ({ write }) => {
  let info: RunInfo | undefined;
  let number = 0;
  return recordRun({
    start() {
      number = 0;
      write("TAP version 14\n");
    },
    info(given) {
      info = given;
    },
    file(file) {
      write(renderFile(file, ++number, info));
    },
    notRun(path, _location, reason) {
      write(`ok ${++number} - ${description(path)} # SKIP ${description(reason)}\n`);
    },
    run(run) {
      write(`1..${number}\n`);
      if (run.interrupted) write("Bail out! the run was interrupted\n");
    },
  });
};

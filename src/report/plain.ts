/**
 * The text reporter: a line per file, failures in full, a summary.
 *
 *     PASS tests/a.test.lua (3 passed, 0 failed, 0 skipped)
 */

import { renderFailure } from "./failure.ts";
import { fixtureLine } from "./fixtures.ts";
import { countTests, type FileRecord, type RunInfo, recordRun, type TestRecord } from "./record.ts";
import type { Reporter, ReporterOptions } from "./reporter.ts";
import { rerunCommand } from "./rerun.ts";
import { summarize } from "./summary.ts";
import { indent, oneLine, visible } from "./text.ts";

const LABEL = { passed: "PASS", failed: "FAIL", timed_out: "TIME", crashed: "FAIL" } as const;

const seconds = (ns: number): string => `${(ns / 1e9).toFixed(2)} s`;

const renderTest = (
  test: TestRecord,
  options: ReporterOptions,
  rerun: string | undefined,
): string | undefined => {
  const { colour } = options;
  const name = oneLine(test.name);
  if (test.status === "failed") {
    const failure = renderFailure({ ...test, message: test.message ?? "", rerun }, "        ", colour);
    return `    ${colour.bad("FAIL")} ${name}\n${failure}`;
  }
  if (test.flaky) return `    ${colour.odd("FLAKY")} ${name} ${colour.faint("(failed before it passed)")}`;
  if (options.detail !== "verbose") return undefined;
  if (test.status === "passed")
    return `    ${colour.good("PASS")} ${name} ${colour.faint(`(${seconds(test.durationNs)})`)}`;
  const reason =
    test.message === undefined || test.message === "" ? "" : ` ${colour.faint(`(${oneLine(test.message)})`)}`;
  return `    ${colour.odd("SKIP")} ${name}${reason}`;
};

const renderFile = (file: FileRecord, options: ReporterOptions, info: RunInfo | undefined): string => {
  const { colour } = options;
  const { passed, failed, skipped } = countTests(file.tests);
  const attempts = file.attempts > 1 ? ` in ${file.attempts} attempts` : "";
  const label = LABEL[file.status];
  const paint =
    file.status === "passed" ? colour.good : file.status === "timed_out" ? colour.odd : colour.bad;
  const lines = [
    `${paint(label)} ${oneLine(file.path)} (${passed} passed, ${failed} failed, ${skipped} skipped)${attempts}`,
  ];
  if (options.detail === "verbose")
    for (const machine of file.machines)
      lines.push(
        colour.faint(
          `    vm ${oneLine(machine.name)} booted in ${seconds(machine.bootNs)} (${visible(machine.transport)})`,
        ),
      );
  for (const test of file.tests) {
    const line = renderTest(
      test,
      options,
      test.status === "failed" ? rerunCommand(info, file, test) : undefined,
    );
    if (line !== undefined) lines.push(line);
  }
  // What ended the file has often ended a test, which has said so already.
  if (file.error !== undefined && !file.tests.some((test) => test.message === file.error))
    lines.push(
      renderFailure(
        {
          message: file.error,
          detail: file.detail,
          consoleExcerpt: "",
          log: [],
          rerun: rerunCommand(info, file),
        },
        "    ",
        colour,
      ),
    );
  if (file.output.trim() !== "" && options.detail !== "quiet")
    lines.push(indent(visible(file.output), `    ${colour.faint("│")} `));
  return `${lines.join("\n")}\n`;
};

/** A consumer that writes the text report. */
export const plainReporter: Reporter = (options) => {
  let info: RunInfo | undefined;
  return recordRun({
    info(given) {
      info = given;
    },
    notice(level, text) {
      if (level === "warning")
        options.writeNotice(`${options.colour.odd("provium: warning:")} ${visible(text)}\n`);
      else if (options.detail !== "quiet")
        options.writeNotice(`${options.colour.faint(`provium: ${visible(text)}`)}\n`);
    },
    fixture(event) {
      if (options.detail === "verbose")
        options.writeNotice(`${options.colour.faint(`provium: ${fixtureLine(event)}`)}\n`);
    },
    file(record) {
      if (options.detail === "quiet" && record.status === "passed" && !record.flaky) return;
      options.write(renderFile(record, options, info));
    },
    run(record) {
      const paint = record.badFiles === 0 && !record.interrupted ? options.colour.good : options.colour.bad;
      const seed = info?.seed === undefined || record.badFiles === 0 ? "" : `\nseed ${visible(info.seed)}`;
      options.write(`\n${paint(summarize(record))}${seed}\n`);
    },
  });
};

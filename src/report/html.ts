/**
 * The HTML report: a template with the run's data inside, one file that needs nothing else. The template shows what
 * it is given as text only (no markup of a test or guest is ever interpreted), and its policy forbids it to load
 * anything.
 */

import { plainPalette } from "./colours.ts";
import { renderFailure } from "./failure.ts";
import { type FileRecord, type RunInfo, recordRun, type TestRecord } from "./record.ts";
import type { Reporter } from "./reporter.ts";
import { rerunCommand } from "./rerun.ts";
import { summarize } from "./summary.ts";
import { harmlessJson, visible } from "./text.ts";
import { Timeline } from "./timeline.ts";

/** Where the data goes in the template. */
const PLACE = '"DATA"';
/** Characters of what a file printed; the end is kept. */
const OUTPUT_CHARACTERS = 128 * 1024;

const milliseconds = (ns: number): number => Math.round(ns / 1e4) / 100;

/** JSON that stands inside a script element: nothing in it ends the element, or acts on who prints the file. */
const embedded = (value: unknown): string => harmlessJson(JSON.stringify(value)).replaceAll("<", "\\u003c");

const testData = (file: FileRecord, test: TestRecord, timeline: Timeline, info: RunInfo | undefined) => {
  const rerun = test.status === "failed" ? rerunCommand(info, file, test) : undefined;
  const times = timeline.files.get(file.path);
  const failure =
    test.status === "failed"
      ? renderFailure(
          { ...test, message: test.message ?? "", consoleExcerpt: "", log: [], rerun: undefined },
          "",
          plainPalette,
        )
      : undefined;
  return {
    name: visible(test.name),
    parent: test.parent === undefined ? undefined : visible(test.parent),
    status: test.status,
    flaky: test.flaky || undefined,
    ms: milliseconds(test.durationNs),
    from: times?.tests.get(test.name)?.from,
    to: times?.tests.get(test.name)?.to,
    failure,
    reason: test.status === "skipped" ? visible(test.message ?? "") : undefined,
    console: test.consoleExcerpt === "" ? undefined : visible(test.consoleExcerpt),
    log: test.log.length === 0 ? undefined : visible(test.log.join("\n")),
    rerun: rerun && visible(rerun),
    tags: tagsOf(test.meta.tags),
    attachments: times?.attachments.get(test.name)?.map((it) => ({ ...it, name: visible(it.name) })),
  };
};

const tagsOf = (tags: unknown): readonly string[] | undefined => {
  const list = Array.isArray(tags) ? tags : [tags];
  const texts = list.filter((tag): tag is string => typeof tag === "string").map(visible);
  return texts.length === 0 ? undefined : texts;
};

const fileData = (file: FileRecord, timeline: Timeline, info: RunInfo | undefined) => {
  const times = timeline.files.get(file.path);
  const rerun = file.status === "passed" ? undefined : rerunCommand(info, file);
  return {
    path: visible(file.path),
    status: file.status,
    flaky: file.flaky || undefined,
    attempts: file.attempts,
    ms: milliseconds(file.durationNs),
    from: times?.from,
    to: times?.to,
    error:
      file.error &&
      renderFailure(
        { message: file.error, detail: file.detail, consoleExcerpt: "", log: [] },
        "",
        plainPalette,
      ),
    rerun: rerun && visible(rerun),
    output: file.output === "" ? undefined : visible(file.output.slice(-OUTPUT_CHARACTERS)),
    tests: file.tests.map((test) => testData(file, test, timeline, info)),
    machines: times?.machines.map((it) => ({
      ...it,
      name: visible(it.name),
      profile: visible(it.profile),
      end: visible(it.end),
    })),
    changes: times?.changes.map(({ at, text }) => ({ at, text: visible(text) })),
  };
};

/** `template` is asked for when the report is written. */
export const htmlReporter =
  (template: () => string): Reporter =>
  ({ write }) => {
    const timeline = new Timeline();
    let info: RunInfo | undefined;
    let files: object[] = [];
    let notices: string[] = [];
    const record = recordRun({
      start() {
        info = undefined;
        files = [];
        notices = [];
      },
      info(given) {
        info = given;
      },
      notice(_level, text) {
        notices.push(visible(text));
      },
      file(file) {
        files.push(fileData(file, timeline, info));
        // What has been drawn from is not needed any more: attachments are large.
        timeline.files.delete(file.path);
      },
      notRun(path, _location, reason) {
        files.push({
          path: visible(path),
          status: "not_run",
          ms: 0,
          attempts: 0,
          error: visible(reason),
          tests: [],
        });
      },
      run(run) {
        const data = {
          started: Number(timeline.started / 1_000_000n),
          ms: milliseconds(run.durationNs),
          summary: summarize(run),
          good: run.badFiles === 0 && !run.interrupted,
          info: info && { ...info, rerun: undefined },
          notices,
          files,
          builds: timeline.builds.map((it) => ({
            ...it,
            fixture: visible(it.fixture),
            outcome: visible(it.outcome),
          })),
          pool: timeline.pool,
          poolTotal: timeline.poolTotal,
        };
        const page = template();
        const at = page.indexOf(PLACE);
        write(page.slice(0, at) + embedded(data) + page.slice(at + PLACE.length));
      },
    });
    return (event) => {
      timeline.consume(event);
      record(event);
    };
  };

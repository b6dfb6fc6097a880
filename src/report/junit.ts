/**
 * JUnit's XML, as Jenkins, GitLab and others read it: a suite a file, a case a test. What no test is (a file that
 * crashed, was not run, failed at its top level) is a case named "(file)". Elements and attributes are those that
 * the schema of Jenkins's xunit plugin (junit-10.xsd) allows; others read less.
 */

import { plainPalette } from "./colours.ts";
import { renderFailure } from "./failure.ts";
import { countTests, type FileRecord, type RunInfo, recordRun, type TestRecord } from "./record.ts";
import type { Reporter } from "./reporter.ts";
import { rerunCommand } from "./rerun.ts";
import { visible } from "./text.ts";

/** What a suite may say in `system-out`. */
const OUTPUT_CHARACTERS = 64 * 1024;

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "\n": "&#10;",
  "\t": "&#9;",
};

/** Text without what XML 1.0 does not allow even as a reference. */
const legal = (text: string): string =>
  visible(text).replace(
    /[\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g,
    "\ufffd",
  );

const attribute = (text: string): string =>
  legal(text).replace(/[&<>"\n\t]/g, (char) => ENTITIES[char] as string);
const content = (text: string): string => legal(text).replace(/[&<>]/g, (char) => ENTITIES[char] as string);

const attributes = (values: Readonly<Record<string, string | number | undefined>>): string =>
  Object.entries(values)
    .map(([name, value]) => (value === undefined ? "" : ` ${name}="${attribute(String(value))}"`))
    .join("");

const seconds = (ns: number): string => (ns / 1e9).toFixed(3);
const firstLine = (text: string): string => text.split("\n", 1)[0] as string;

const testCase = (file: FileRecord, test: TestRecord, rerun: string | undefined): string => {
  const head = attributes({
    name: test.name,
    classname: file.path,
    time: seconds(test.durationNs),
  });
  const inside: string[] = [];
  const message = test.message ?? "";
  if (test.status === "skipped") inside.push(`<skipped${attributes({ message })}/>`);
  if (test.status === "failed") {
    const text = renderFailure({ ...test, message, log: [], rerun }, "", plainPalette);
    inside.push(
      `<failure${attributes({ message: firstLine(message), type: "failure" })}>${content(text)}</failure>`,
    );
  }
  if (test.flaky)
    inside.push(`<flakyFailure${attributes({ message: "failed before it passed", type: "failure" })}/>`);
  if (test.log.length > 0) inside.push(`<system-out>${content(test.log.join("\n"))}</system-out>`);
  if (inside.length === 0) return `    <testcase${head}/>\n`;
  return `    <testcase${head}>\n${inside.map((part) => `      ${part}\n`).join("")}    </testcase>\n`;
};

/** The case for what happened to a file as a whole; undefined when its tests say everything. */
const fileCase = (file: FileRecord, rerun: string | undefined): string | undefined => {
  if (file.status === "passed" || (file.status === "failed" && file.error === undefined)) return undefined;
  const message = file.error ?? file.status;
  const text = renderFailure(
    { message, detail: file.detail, consoleExcerpt: "", log: [], rerun },
    "",
    plainPalette,
  );
  const head = attributes({ name: "(file)", classname: file.path, time: 0 });
  const error = `<error${attributes({ message: firstLine(message), type: file.status })}>${content(text)}</error>`;
  return `    <testcase${head}>\n      ${error}\n    </testcase>\n`;
};

class Counts {
  tests = 0;
  failures = 0;
  errors = 0;
  skipped = 0;

  add(other: Counts): void {
    this.tests += other.tests;
    this.failures += other.failures;
    this.errors += other.errors;
    this.skipped += other.skipped;
  }

  get text(): string {
    return this.summary + attributes({ skipped: this.skipped });
  }

  /** The schema of Jenkins's xunit plugin has no `skipped` for the whole. */
  get summary(): string {
    const { tests, failures, errors } = this;
    return attributes({ tests, failures, errors });
  }
}

/** The report's suites are kept until the end: their sums stand in front of them. */
export const junitReporter: Reporter = ({ write }) => {
  let info: RunInfo | undefined;
  let suites: string[] = [];
  let total = new Counts();
  const suite = (path: string, file: string, counts: Counts, ns: number, body: string): void => {
    total.add(counts);
    suites.push(
      `  <testsuite${attributes({ name: path, file })}${counts.text} time="${seconds(ns)}">\n${body}  </testsuite>\n`,
    );
  };
  return recordRun({
    start() {
      suites = [];
      total = new Counts();
    },
    info(given) {
      info = given;
    },
    file(file) {
      const itself = fileCase(file, rerunCommand(info, file));
      const { failed, skipped } = countTests(file.tests);
      const counts = new Counts();
      counts.tests = file.tests.length + (itself === undefined ? 0 : 1);
      counts.failures = failed;
      counts.errors = itself === undefined ? 0 : 1;
      counts.skipped = skipped;
      const cases = file.tests.map((test) => testCase(file, test, rerunCommand(info, file, test)));
      const output = file.output.slice(-OUTPUT_CHARACTERS);
      const said = output.trim() === "" ? "" : `    <system-out>${content(output)}</system-out>\n`;
      suite(file.path, file.location, counts, file.durationNs, cases.join("") + (itself ?? "") + said);
    },
    notRun(path, location, reason) {
      const head = attributes({ name: "(file)", classname: path, time: 0 });
      const counts = new Counts();
      counts.tests = 1;
      counts.skipped = 1;
      const skipped = `<skipped${attributes({ message: reason })}/>`;
      suite(path, location, counts, 0, `    <testcase${head}>\n      ${skipped}\n    </testcase>\n`);
    },
    run(run) {
      write(
        `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="provium"${total.summary} time="${seconds(run.durationNs)}">\n${suites.join("")}</testsuites>\n`,
      );
    },
  });
};

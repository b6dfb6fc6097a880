/**
 * The text report with annotations for GitHub Actions (workflow commands: docs.github.com, "Workflow commands for
 * GitHub Actions"). What tests and guests say is fenced off with `stop-commands`, so that it gives no commands.
 */

import { randomUUID } from "node:crypto";
import type { Consumer } from "../events/stream.ts";
import { plainReporter } from "./plain.ts";
import { type FileRecord, recordRun } from "./record.ts";
import type { Reporter } from "./reporter.ts";
import { visible } from "./text.ts";

const escaped = (text: string): string =>
  visible(text).replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
const property = (text: string): string => escaped(text).replaceAll(":", "%3A").replaceAll(",", "%2C");

interface Place {
  readonly file: string;
  readonly line: number | undefined;
  readonly title: string;
}

const command = (level: "error" | "warning", { file, line, title }: Place, text: string): string => {
  const where = line === undefined ? "" : `,line=${line}`;
  return `::${level} file=${property(file)}${where},title=${property(title)}::${escaped(text)}\n`;
};

const annotations = (file: FileRecord): string => {
  const found: string[] = [];
  const lineOf = (detail: FileRecord["detail"]): number | undefined =>
    detail.file === file.path ? detail.line : undefined;
  for (const test of file.tests) {
    const at = { file: file.location, line: lineOf(test.detail), title: test.name };
    if (test.status === "failed") found.push(command("error", at, test.message ?? "failed"));
    if (test.flaky) found.push(command("warning", at, "flaky: the test failed before it passed"));
  }
  if (file.status !== "passed" && (file.error !== undefined || found.length === 0)) {
    const at = { file: file.location, line: lineOf(file.detail), title: `${file.path}: ${file.status}` };
    found.push(command("error", at, file.error ?? file.status));
  }
  return found.join("");
};

/** `token` ends a fence; nobody who writes the fenced text may know it. */
export const githubReporter =
  (token: () => string = randomUUID): Reporter =>
  (options) => {
    const fence =
      (write: (text: string) => void) =>
      (text: string): void => {
        const key = token();
        write(`::stop-commands::${key}\n${text}::${key}::\n`);
      };
    const text = plainReporter({
      ...options,
      write: fence(options.write),
      writeNotice: fence(options.writeNotice),
    });
    const annotate: Consumer = recordRun({
      file(file) {
        const found = annotations(file);
        if (found !== "") options.write(found);
      },
      notice(level, said) {
        if (level === "warning") options.write(`::warning title=provium::${escaped(said)}\n`);
      },
    });
    return (event) => {
      text(event);
      annotate(event);
    };
  };

/** The reporters with the options under which their golden outputs were made, and how a stream goes through them. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { ProviumEvent } from "../../../src/events/types.ts";
import { plainPalette } from "../../../src/report/colours.ts";
import { githubReporter } from "../../../src/report/github.ts";
import { htmlReporter } from "../../../src/report/html.ts";
import { jsonReporter } from "../../../src/report/json.ts";
import { junitReporter } from "../../../src/report/junit.ts";
import { plainReporter } from "../../../src/report/plain.ts";
import type { Reporter, ReporterOptions } from "../../../src/report/reporter.ts";
import { tapReporter } from "../../../src/report/tap.ts";

export const TEMPLATE = join(import.meta.dir, "../../../embed/report/template.html");

interface Case {
  readonly reporter: Reporter;
  readonly detail?: ReporterOptions["detail"];
}

/** By the name of the file that holds the output. */
export const CASES: Readonly<Record<string, Case>> = {
  "plain.txt": { reporter: plainReporter },
  "plain-verbose.txt": { reporter: plainReporter, detail: "verbose" },
  "plain-quiet.txt": { reporter: plainReporter, detail: "quiet" },
  "report.jsonl": { reporter: jsonReporter },
  "junit.xml": { reporter: junitReporter },
  "report.tap": { reporter: tapReporter },
  "report.html": { reporter: htmlReporter(() => readFileSync(TEMPLATE, "utf8")) },
  "github.txt": { reporter: githubReporter(() => "0123-4567") },
};

/** What the reporter of a case writes about a stream, notices in between. */
export const replay = (name: string, events: readonly ProviumEvent[]): string => {
  const { reporter, detail = "normal" } = CASES[name] as Case;
  let text = "";
  const write = (part: string): void => {
    text += part;
  };
  const consume = reporter({ detail, colour: plainPalette, write, writeNotice: write });
  for (const event of events) consume(event);
  return text;
};

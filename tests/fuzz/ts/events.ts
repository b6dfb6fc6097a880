/** Recordings that are well-formed and say anything: no event, or one that every reporter can tell. */

import { join } from "node:path";
import { ProtocolError } from "../../../src/errors/errors.ts";
import { pack } from "../../../src/events/frame.ts";
import { eventOf, readRecording } from "../../../src/events/recording.ts";
import type { ProviumEvent } from "../../../src/events/types.ts";
import { plainPalette } from "../../../src/report/colours.ts";
import { CoverageCollector } from "../../../src/report/coverage.ts";
import { coverageText } from "../../../src/report/coverage-text.ts";
import { viewLines } from "../../../src/report/live.ts";
import { Progress } from "../../../src/report/progress.ts";
import { CASES, replay } from "../../golden/reports/replay.ts";
import { must, type Target } from "../target.ts";
import { CONTROL } from "./text.ts";

const numbered = (_key: string, value: unknown): unknown =>
  typeof value === "bigint" ? Number(value) : value;

/** A line of an input: kind and payload as JSON. What is bytes has no place there. */
const story: string[] = [];
readRecording(join(import.meta.dir, "../../golden/reports/story.events"), ({ kind, payload }) => {
  if (kind !== "attachment") story.push(JSON.stringify([kind, payload], numbered));
});

/** The same with something in every text that acts on a terminal or breaks a line. */
const marked = (line: string): string =>
  JSON.stringify(
    JSON.parse(line, (key, value) =>
      typeof value === "string" && key !== "0" ? `${value}\u009b\u2028` : value,
    ),
  );

const parsed = (line: string): unknown => {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
};

const eventsIn = (text: string): ProviumEvent[] =>
  text.split("\n").flatMap((line, ts) => {
    const value = parsed(line);
    if (!Array.isArray(value)) return [];
    try {
      return eventOf(pack({ ts, kind: value[0], payload: value[1] }));
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      return [];
    }
  });

export const events: Target = {
  name: "events",
  source: import.meta.file,
  seeds: [
    ...[story.join("\n"), story.map(marked).join("\n"), ...story],
    // A test that is a part of itself, and a failure of it.
    `["run_started",{"jobs":1,"pool":{"memory_bytes":1,"cpus":1},"vmm":"","accel":"","transport":"","rerun":["a"]}]\n${["test_started", "test_failed"].map((kind) => `["${kind}",{"path":"a","name":"b","parent":"b","meta":{},"duration_ns":1,"reason":"","detail":{},"console_excerpt":"","log":[]}]`).join("\n")}\n["file_completed",{"path":"a","status":"failed","duration_ns":1}]`,
  ],
  words: [
    ...["null", "{}", "[]", '""', "-1", "1e999", "0.5", "true", '"\\u001b"', '"__proto__"', ",", ":", "\n"],
    ...['"path"', '"name"', '"parent"', '"meta"', '"log"', '"detail"', '"excerpt"', '"lines"', '"column"'],
    ...[
      '"a.test.lua"',
      '"status"',
      '"passed"',
      '"rerun"',
      '"{file}"',
      '"seed"',
      '"tags"',
      '"spec"',
      '"pool_state"',
    ],
  ],
  run: (input) => {
    const all = eventsIn(new TextDecoder().decode(input));
    const progress = new Progress();
    const coverage = new CoverageCollector("spec", undefined);
    for (const event of all) {
      progress.consume(event);
      coverage.consume(event);
      viewLines(progress, event.ts, 40, 24, plainPalette);
    }
    const reports = [...Object.keys(CASES).map((name) => replay(name, all)), coverageText(coverage.result)];
    must(!reports.some((report) => CONTROL.test(report)), "no report contains a control character");
  },
};

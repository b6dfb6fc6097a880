/** Stored streams through every reporter: what comes out is what stands in tests/golden/reports. */

import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { XmlDocument, XsdValidator } from "libxml2-wasm";
import { readRecording } from "../../../src/events/recording.ts";
import type { ProviumEvent } from "../../../src/events/types.ts";
import { orderProblems } from "../../events/order.ts";
import { knownKinds, schemaProblems } from "../../events/schema.ts";
import { CASES, replay } from "../../golden/reports/replay.ts";

const golden = join(import.meta.dir, "../../golden/reports");
const events: ProviumEvent[] = [];
readRecording(join(golden, "story.events"), (event) => events.push(event));

test("the stored stream has every kind of event and breaks no rule", () => {
  expect(events.flatMap(schemaProblems)).toEqual([]);
  expect(orderProblems(events)).toEqual([]);
  const kinds = new Set(events.map(({ kind }) => kind as string));
  expect(knownKinds.filter((kind) => !kinds.has(kind))).toEqual(["fixture_build_failed"]);
});

describe("reporters", () => {
  for (const name of Object.keys(CASES)) {
    const text = replay(name, events);
    test(`${name} is as it was`, () => {
      expect(text).toBe(readFileSync(join(golden, name), "utf8"));
    });

    test(`${name} lets no control character through, and a second round begins anew`, () => {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this is about
      expect(text).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e]/);
      expect(replay(name, [...events, ...events])).toBe(text + text);
    });
  }
});

/** Errors of the schema in a JUnit report. */
const junitProblems = (xml: string): string => {
  using schema = XmlDocument.fromString(readFileSync(join(import.meta.dir, "junit.xsd"), "utf8"));
  using validator = XsdValidator.fromDoc(schema);
  try {
    using report = XmlDocument.fromString(xml);
    validator.validate(report);
    return "";
  } catch (error) {
    return String(error);
  }
};

test("the JUnit report is accepted by the schema, and the schema refuses what it should", () => {
  const xml = replay("junit.xml", events);
  expect(junitProblems(xml)).toBe("");
  expect(junitProblems(xml.replace(' tests="', ' tast="'))).not.toBe("");
  expect(junitProblems(xml.slice(0, -20))).not.toBe("");
});

test("the TAP report counts its points and subtests", () => {
  const lines = replay("report.tap", events).split("\n");
  expect(lines[0]).toBe("TAP version 14");
  expect(lines.filter((line) => /^(not )?ok \d+/.test(line))).toHaveLength(6);
  expect(lines).toContain("1..6");
});

test("no line of a test or guest is a workflow command for GitHub", () => {
  let fence: string | undefined;
  for (const line of replay("github.txt", events).split("\n")) {
    const opened = /^::stop-commands::(.+)$/.exec(line);
    if (opened) fence = opened[1] as string;
    else if (line === `::${fence}::`) fence = undefined;
    else if (fence === undefined && line !== "") expect(line).toMatch(/^::(error|warning) /);
  }
  expect(fence).toBeUndefined();
});

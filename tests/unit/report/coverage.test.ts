import { expect, test } from "bun:test";
import { join } from "node:path";
import { readRecording } from "../../../src/events/recording.ts";
import type { MetaValue, ProviumEvent } from "../../../src/events/types.ts";
import { CoverageCollector, parseSections } from "../../../src/report/coverage.ts";
import { coverageHtml, coverageJson, coverageText } from "../../../src/report/coverage-text.ts";

const file = (path: string, tests: readonly [string, string, Readonly<Record<string, MetaValue>>][]) => {
  const events: object[] = [];
  for (const [name, status, meta] of tests) {
    events.push({ kind: "test_started", payload: { path, name, meta } });
    events.push({
      kind: `test_${status}`,
      payload: { path, name, meta, log: [], reason: "r", duration_ns: 1 },
    });
  }
  return [...events, { kind: "file_completed", payload: { path, status: "passed", duration_ns: 1 } }];
};

const collected = (by = "spec", sections?: string) => {
  const collector = new CoverageCollector(by, sections === undefined ? undefined : parseSections(sections));
  const events = [
    { kind: "stream_started", payload: {} },
    ...file("a.lua", [
      ["one", "passed", { spec: "3.2" }],
      ["two", "failed", { spec: ["3.10", "3.2"] }],
      ["three", "skipped", { spec: "9" }],
      ["four", "passed", {}],
      ["five", "passed", { spec: 4n, area: "net" }],
    ]),
    { kind: "run_completed", payload: { interrupted: false, duration_ns: 1e9 } },
  ];
  for (const event of events) collector.consume({ ts: 1n, ...event } as unknown as ProviumEvent);
  return collector.result;
};

test("sections are those that passed and failed tests name, in the order of their numbers", () => {
  const { sections, without } = collected();
  expect(sections.map(({ id, status, tests }) => [id, status, tests.length])).toEqual([
    ["3.2", "failed", 2],
    ["3.10", "failed", 1],
    ["4", "passed", 1],
  ]);
  expect(without).toBe(1);
});

test("with a list of sections the untested ones show, and the ones that it does not know are told", () => {
  const { sections } = collected("spec", "# sections\n3.1 Opening\n3.2  Reading and writing\n\n3.10\n");
  expect(sections.map(({ id, title, status, listed }) => [id, title, status, listed])).toEqual([
    ["3.1", "Opening", "untested", true],
    ["3.2", "Reading and writing", "failed", true],
    ["3.10", "", "failed", true],
    ["4", "", "passed", false],
  ]);
});

test("another key of the metadata gives another view", () => {
  expect(collected("area").sections.map(({ id }) => id)).toEqual(["net"]);
});

test("the text says what failed and counts", () => {
  expect(coverageText(collected("spec", "3.1 Opening\n3.2 Reading\n"))).toBe(`---- 3.1   Opening
FAIL 3.2   Reading  (1 of 2 failed)
         FAIL a.lua: two
FAIL 3.10  (1 of 1 failed, not in the list of sections)
         FAIL a.lua: two
PASS 4     (1 passed, not in the list of sections)

coverage by spec: 3 of 4 section(s) tested, 2 with failures, 1 test(s) name none
1 file(s); 3 passed, 1 failed, 1 skipped; 1.00s
`);
});

test("JSON and HTML say the same; markup in names stays text", () => {
  const result = collected("spec", '3.1 <img src=x onerror="alert(1)">\n');
  expect(JSON.parse(coverageJson(result)).sections[1].tests[0]).toEqual({
    path: "a.lua",
    name: "one",
    status: "passed",
  });
  const page = coverageHtml(result);
  expect(page).toContain("&lt;img src=x onerror=&quot;alert(1)&quot;&gt;");
  expect(page).not.toContain("<img");
});

test("of a test with parts the test itself counts, and of several attempts the last", () => {
  const collector = new CoverageCollector("spec", undefined);
  readRecording(join(import.meta.dir, "../../golden/reports/story.events"), collector.consume);
  expect(collector.result.sections.map(({ id }) => id)).toEqual(["3.2"]);
  expect(collector.result.without).toBe(4);
});

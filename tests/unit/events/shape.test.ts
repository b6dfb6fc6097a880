import { expect, test } from "bun:test";
import { join } from "node:path";
import { pack } from "../../../src/events/frame.ts";
import { eventOf, readRecording } from "../../../src/events/recording.ts";
import type { ProviumEvent } from "../../../src/events/types.ts";

const given = (kind: string, payload: unknown, ts: unknown = 1) => eventOf(pack({ ts, kind, payload }));

test("an event whose payload lacks a field, or has one of another type, is refused by the field's name", () => {
  const passed = { path: "a", name: "b", duration_ns: 1, meta: {}, log: [] };
  expect(given("test_passed", passed)).toMatchObject({ ts: 1n, payload: passed });
  for (const [field, value] of [
    ["name", undefined],
    ["duration_ns", "1"],
    ["log", ["x", 1]],
    ["meta", null],
  ] as const)
    expect(() => given("test_passed", { ...passed, [field]: value })).toThrow(
      `\`${field}\` of its test_passed`,
    );
  const excerpt = { first_line: 1, lines: ["x"], column: 1 };
  const completed = { path: "a", status: "failed", duration_ns: 1, detail: { excerpt } };
  expect(given("file_completed", completed).payload).toEqual(completed as never);
  expect(() => given("file_completed", { ...completed, detail: { excerpt: {} } })).toThrow("`detail`");
});

test("no payload and no time is no event; a kind that a newer version has is left alone", () => {
  for (const payload of [null, [], "x"]) expect(() => given("notice", payload)).toThrow("no payload");
  for (const ts of ["1", 1.5, null]) expect(() => given("x", {}, ts)).toThrow("`ts` is no integer");
  expect(given("of_tomorrow", { any: 1 }).kind as string).toBe("of_tomorrow");
});

test("every event of a recorded run is accepted, and none of them with an empty payload", () => {
  const events: ProviumEvent[] = [];
  readRecording(join(import.meta.dir, "../../golden/reports/story.events"), (event) => events.push(event));
  expect(events.length).toBeGreaterThan(30);
  for (const { kind } of events) expect(() => given(kind, {})).toThrow("missing or of another type");
});

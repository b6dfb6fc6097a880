import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { ProviumEvent } from "../../../src/events/types.ts";
import { orderProblems } from "../../events/order.ts";
import { knownKinds, schemaProblems } from "../../events/schema.ts";

test("the schema knows exactly the kinds of the product", () => {
  const types = readFileSync(join(import.meta.dir, "../../../src/events/types.ts"), "utf8");
  const payloads = types.slice(
    types.indexOf("export interface EventPayloads"),
    types.indexOf("export type EventKind"),
  );
  const kinds = [...payloads.matchAll(/^ {2}(\w+): \{/gm)].map((match) => match[1] as string);
  expect(kinds.length).toBeGreaterThan(25);
  expect([...knownKinds].sort()).toEqual(kinds.sort());
});

const ts = 1n;

test("a missing, a wrong and an unknown field are problems; bytes and large integers are none", () => {
  const good = { path: "a", test: "t", name: "n", media_type: "text/plain", data: Uint8Array.of(1) };
  expect(schemaProblems({ ts, kind: "attachment", payload: good })).toEqual([]);
  expect(schemaProblems({ ts, kind: "attachment", payload: { ...good, data: "text" } })).not.toEqual([]);
  expect(schemaProblems({ ts, kind: "attachment", payload: { ...good, more: 1 } })).not.toEqual([]);
  const { name: _name, ...nameless } = good;
  expect(schemaProblems({ ts, kind: "attachment", payload: nameless })[0]).toContain("name");
  const meta = { bytes: Uint8Array.of(255), list: [1, { deep: null }], big: 2n ** 62n };
  expect(schemaProblems({ ts, kind: "test_started", payload: { path: "a", name: "t", meta } })).toEqual([]);
  expect(schemaProblems({ ts, kind: "no_such_kind", payload: {} })).toEqual(["unknown kind no_such_kind"]);
});

const event = (kind: string, payload: object): ProviumEvent =>
  ({ ts, kind, payload }) as unknown as ProviumEvent;
const started = event("stream_started", { protocol_version: 2, host_version: "0" });
const found = event("file_discovered", { path: "a", dialect: "lab", fixture_refs: [] });
const given = event("file_dispatched", { path: "a", reservation: {} });
const done = event("file_completed", { path: "a", status: "passed", duration_ns: 1 });
const over = event("run_completed", { interrupted: false, duration_ns: 1 });
const test1 = event("test_started", { path: "a", name: "t", meta: {} });

test("what breaks the order of a stream is found", () => {
  const whole = [started, found, given, test1, event("test_passed", { path: "a", name: "t" }), done, over];
  expect(orderProblems(whole)).toEqual([]);
  expect(orderProblems(whole.slice(1))).not.toEqual([]);
  expect(orderProblems(whole.slice(0, -1))).toEqual(["event 6: the stream ends without run_completed"]);
  expect(orderProblems([started, found, given, test1, done, over])).toEqual([
    "event 5: a: test t never ended",
  ]);
  expect(orderProblems([started, found, given, done, done, over])).not.toEqual([]);
  expect(orderProblems([started, found, over])).toEqual(["event 3: a was never completed"]);
  expect(
    orderProblems([started, found, given, event("vm_spawned", { file: "a", vm_name: "v" }), done, over]),
  ).toEqual(["event 5: a: vm v was never shut down"]);
});

test("a file that is tried again may have its tests again", () => {
  const failed = event("test_failed", { path: "a", name: "t" });
  const again = event("file_retried", { path: "a", attempt: 1, status: "failed", duration_ns: 1 });
  const second = event("file_dispatched", { path: "a", reservation: {}, attempt: 2 });
  const passed = event("test_passed", { path: "a", name: "t" });
  expect(
    orderProblems([started, found, given, test1, failed, again, second, test1, passed, done, over]),
  ).toEqual([]);
});

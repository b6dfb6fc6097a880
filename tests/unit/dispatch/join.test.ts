import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { joinRecordings } from "../../../src/dispatch/join.ts";
import { encodeFrame } from "../../../src/events/frame.ts";
import type { EventKind, EventPayloads, ProviumEvent } from "../../../src/events/types.ts";
import { orderProblems } from "../../events/order.ts";
import { schemaProblems } from "../../events/schema.ts";

let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "provium-join-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const amount = { memory_bytes: 1, cpus: 0 };

/** Writes a recording event by event. */
class Recorder {
  readonly path: string;
  private readonly events: ProviumEvent[] = [];

  constructor(
    name: string,
    private now: number,
  ) {
    this.path = join(directory, name);
    this.say("stream_started", { protocol_version: 2, host_version: "0.1.0" });
  }

  say<K extends EventKind>(kind: K, payload: EventPayloads[K]): this {
    this.events.push({ ts: BigInt(this.now++), kind, payload } as ProviumEvent);
    return this;
  }

  run(index: number, total: number, seed = "1"): this {
    const run = {
      jobs: 1,
      pool: amount,
      vmm: "local",
      accel: "tcg",
      transport: "serial",
      rerun: ["provium", "{file}"],
    };
    return this.say("run_started", { ...run, seed, shard: { index, total } });
  }

  discover(...paths: string[]): this {
    for (const path of paths) this.say("file_discovered", { path, dialect: "lab", fixture_refs: [] });
    return this;
  }

  begin(path: string): this {
    this.say("file_dispatched", { path, reservation: amount });
    return this.say("test_started", { path, name: "t", meta: {} });
  }

  pass(path: string): this {
    this.begin(path).say("test_passed", { path, name: "t", duration_ns: 1, meta: {}, log: [] });
    return this.say("file_completed", { path, status: "passed", duration_ns: 2 });
  }

  end(interrupted = false): this {
    return this.say("run_completed", { interrupted, duration_ns: 100 }).save();
  }

  save(cut = 0): this {
    const bytes = Buffer.concat(this.events.map((event) => encodeFrame(event)));
    writeFileSync(this.path, bytes.subarray(0, bytes.byteLength - cut));
    return this;
  }
}

const joined = (...parts: Recorder[]): ProviumEvent[] => {
  const events = [...joinRecordings(parts.map(({ path }) => path))];
  expect(events.flatMap(schemaProblems)).toEqual([]);
  expect(orderProblems(events)).toEqual([]);
  return events;
};

const ends = (events: readonly ProviumEvent[]): string[] =>
  events.flatMap((event) =>
    event.kind === "file_completed" ? [`${event.payload.path} ${event.payload.status}`] : [],
  );

const completion = (events: readonly ProviumEvent[]) =>
  (events.at(-1) as Extract<ProviumEvent, { kind: "run_completed" }>).payload;

test("shards become one run: files of both, by time, with one beginning and one end", () => {
  const one = new Recorder("1", 100).discover("a", "b").run(1, 2).pass("a").pass("b").end();
  const two = new Recorder("2", 103).discover("c").run(2, 2).pass("c").end();
  const events = joined(one, two);
  expect(ends(events).sort()).toEqual(["a passed", "b passed", "c passed"]);
  expect(completion(events).interrupted).toBe(false);
  const times = events.slice(5, -1).map(({ ts }) => ts);
  expect(times).toEqual([...times].sort((x, y) => Number(x - y)));
});

test("each file keeps the seed that it ran with", () => {
  const one = new Recorder("1", 100).discover("a").run(1, 2, "7").pass("a").end();
  const two = new Recorder("2", 100).discover("b").run(2, 2, "8").pass("b").end();
  const events = joined(one, two);
  const seeds = events.flatMap((event) => (event.kind === "file_discovered" ? [event.payload.seed] : []));
  expect(seeds).toEqual(["7", "8"]);
  expect(events.find(({ kind }) => kind === "run_started")?.payload).not.toHaveProperty("seed");
});

test("a shard that nobody has brought is told, and the run is not whole", () => {
  const one = new Recorder("1", 100).discover("a").run(1, 3).pass("a").end();
  const events = joined(one);
  expect(events).toContainEqual(
    expect.objectContaining({ payload: { level: "warning", text: "of 3 shards 2, 3 are missing" } }),
  );
  expect(completion(events).interrupted).toBe(true);
});

test("a recording that was cut off is closed: its running file crashed, the rest is not run", () => {
  const one = new Recorder("1", 100).discover("a", "b", "c").run(1, 1).pass("a").begin("b");
  one.say("vm_spawned", {
    file: "b",
    vm_name: "v",
    profile: "default",
    memory_bytes: 1,
    cid: 0,
    transport: "serial",
    boot_ns: 1,
  });
  one
    .say("fixture_build_started", { path: "base" })
    .say("notice", { level: "info", text: "cut here" })
    .save(3);
  const events = joined(one);
  expect(ends(events)).toEqual(["a passed", "b crashed", "c not_run"]);
  expect(events.find(({ kind }) => kind === "test_failed")?.payload).toMatchObject({
    reason: expect.stringContaining("was cut off"),
  });
  expect(completion(events).interrupted).toBe(true);
});

test("a file that one shard did not reach and another one ran has run", () => {
  const one = new Recorder("1", 100).discover("a").run(1, 2);
  one.say("file_completed", { path: "a", status: "not_run", duration_ns: 0 }).end(true);
  const two = new Recorder("2", 500).discover("a").run(2, 2).pass("a").end();
  expect(ends(joined(one, two))).toEqual(["a passed"]);
});

test("what does not fit together is refused by name", () => {
  const one = new Recorder("1", 100).discover("a").run(1, 2).pass("a").end();
  const two = new Recorder("2", 100).discover("a").run(2, 2).pass("a").end();
  expect(() => joined(one, two)).toThrow(`a ran in ${one.path} and in ${two.path}`);
  writeFileSync(join(directory, "empty"), "");
  expect(() => [...joinRecordings([join(directory, "empty")])]).toThrow("is empty");
  expect(() => [...joinRecordings([join(directory, "none")])]).toThrow("ENOENT");
  const frame = encodeFrame({
    ts: 1,
    kind: "stream_started",
    payload: { protocol_version: 99, host_version: "9" },
  });
  writeFileSync(join(directory, "new"), frame);
  expect(() => [...joinRecordings([join(directory, "new")])]).toThrow("version 99");
});

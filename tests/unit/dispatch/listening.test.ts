import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Dispatcher } from "../../../src/dispatch/dispatcher.ts";
import type { RunnerListener, StartRunner } from "../../../src/dispatch/runner-process.ts";
import { EventStream } from "../../../src/events/stream.ts";
import { FileHashes } from "../../../src/fixture/hashes.ts";
import { Store } from "../../../src/fixture/store.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "provium-listening-"));
  writeFileSync(join(directory, "one.fixture.lua"), "");
});
afterEach(() => rmSync(directory, { recursive: true }));

/** Runners that are no processes: each says that it is there when it is told to. */
const fakes = () => {
  const started: { heard: boolean; readonly listener: RunnerListener; over: boolean }[] = [];
  const start: StartRunner = (listener) => {
    const one = { heard: true, listener, over: false };
    started.push(one);
    return {
      pid: 0,
      complaints: "",
      memory: () => 0,
      send: () => {},
      listen: (on) => {
        one.heard = on;
      },
      kill: () => {
        if (!one.over) queueMicrotask(() => listener.gone("was killed", false));
        one.over = true;
      },
    };
  };
  return { started, start, heard: () => started.map(({ heard }) => heard) };
};

test("while readers are behind a runner is heard until it is there and then no more, be it for a file or for a fixture", async () => {
  const { started, start, heard } = fakes();
  const stream = new EventStream();
  const reader = {};
  stream.backlog(reader, 2 ** 30);
  const job = (file: string, path: string) => ({
    file,
    path,
    dialect: "lab" as const,
    roots: [],
    project: directory,
    profiles: {},
    filter: { includeSlow: false, tags: [], noTags: [], names: [], tagMeta: [], noTagMeta: [] },
    vmm: "qemu" as const,
    accel: "tcg" as const,
    transport: "serial" as const,
    network: "user" as const,
    timeoutMs: 0,
    luaMemoryMb: 64,
    assets: { agent: "", wrapper: "", helper: "" },
  });
  const dispatcher = new Dispatcher(
    {
      files: [{ file: "/t/a", path: "a", dialect: "lab" }],
      jobs: 1,
      pool: { memory_bytes: 2 ** 30, cpus: 2 },
      timeoutMs: 0,
      retries: 0,
      failFast: false,
      keep: false,
      runnerMemory: 2 ** 30,
      draws: true,
      job: ({ file, path }) => job(file, path),
      fixturesOf: () => [{ name: "one", rule: "lab" }],
      fixtures: {
        store: new Store(join(directory, "cache"), 2 ** 30),
        keys: {
          places: { project: directory, roots: [directory] },
          hashes: new FileHashes(undefined),
          machinery: async () => ["m"],
          profile: async () => undefined,
          environment: {},
        },
        compress: false,
        job,
        ahead: 1,
        runnerMemory: 2 ** 30,
      },
    },
    {
      stream,
      startRunner: start,
      directory: (name) => join(directory, name),
      boot: () => ({ kernel: "", initrd: "", cmdline: "" }),
    },
  );
  const over = dispatcher.run();
  while (started.length < 2) await Bun.sleep(1);
  expect(heard()).toEqual([true, true]);
  for (const { listener } of started) listener.message({ type: "idle" });
  expect(heard()).toEqual([false, false]);
  stream.backlog(reader, 0);
  expect(heard()).toEqual([true, true]);
  dispatcher.interrupt("that is all");
  dispatcher.interrupt("that is all");
  expect((await over).interrupted).toBe(true);
});

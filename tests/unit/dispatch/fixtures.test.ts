import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Desk } from "../../../src/dispatch/desk.ts";
import type { FixturePlan } from "../../../src/dispatch/fixture-plan.ts";
import type { Fixtures } from "../../../src/dispatch/fixtures.ts";
import { openRequests } from "../../../src/dispatch/open-requests.ts";
import { runnerStarter } from "../../../src/dispatch/runner-process.ts";
import { FILE_OVERHEAD, Schedule } from "../../../src/dispatch/schedule.ts";
import { EventStream } from "../../../src/events/stream.ts";
import { FileHashes } from "../../../src/fixture/hashes.ts";
import { Store } from "../../../src/fixture/store.ts";
import type { FixtureAnswer } from "../../../src/lab/ports.ts";

const FAKE = join(import.meta.dir, "fake-builder.ts");
const MIB = 2 ** 20;
let root: string;
let cache: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "provium-test-"));
  cache = join(root, "cache");
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const put = (name: string, ...lines: readonly string[]): void =>
  writeFileSync(join(root, `${name}.fixture.lua`), lines.join("\n"));

const ASKER = { path: "a.test.lua", file: "/t/a.test.lua" };

/** One run that shares the cache with the others of a test. */
const open = (over: Partial<FixturePlan> & { timeoutMs?: number; poolMib?: number } = {}) => {
  const told: string[] = [];
  const stream = new EventStream();
  stream.subscribe(({ kind, payload }) => {
    const { path, held_by_file: by } = payload as { path?: string; held_by_file?: string };
    if (kind === "notice") told.push((payload as { text: string }).text);
    else if (kind !== "output")
      told.push(`${kind.replace("fixture_", "")} ${path}${by === undefined ? "" : ` by ${by}`}`);
  });
  const directory = mkdtempSync(join(root, "run-"));
  const desk = new Desk(new Schedule({ memory_bytes: (over.poolMib ?? 1024) * MIB, cpus: 4 }, 8), () => {});
  const { timeoutMs = 0, ...plan } = over;
  const { fixtures } = openRequests(
    {
      store: new Store(cache, 2 ** 30),
      keys: {
        places: { project: root, roots: [root] },
        hashes: new FileHashes(undefined),
        machinery: async () => ["m"],
        profile: async () => undefined,
        environment: {},
      },
      compress: false,
      job: (file, path) => ({
        file,
        path,
        dialect: "lab",
        roots: [root],
        project: root,
        profiles: {},
        filter: { includeSlow: false, tags: [], noTags: [], names: [], tagMeta: [], noTagMeta: [] },
        vmm: "qemu",
        accel: "tcg",
        transport: "serial",
        network: "user",
        seed: 1n,
        operations: false,
        timeoutMs,
        luaMemoryMb: 64,
        assets: { agent: "", wrapper: "", helper: "" },
      }),
      ahead: 2,
      runnerMemory: 2 ** 30,
      ...plan,
    },
    desk,
    true,
    {
      stream,
      startRunner: runnerStarter([process.execPath, FAKE], process.env),
      directory: (name) => join(directory, name),
      boot: () => ({ kernel: "", initrd: "", cmdline: "" }),
    },
  ) as { fixtures: Fixtures };
  const get = (name: string, asker = ASKER, failed?: { build: string; reason: string }) =>
    fixtures.obtain({ name, rule: "lab", kind: "vm", failed }, asker);
  return { fixtures, told, desk, get, directory, [Symbol.asyncDispose]: () => fixtures.close() };
};

const content = ({ directory }: FixtureAnswer): string =>
  readFileSync(join(directory, "memory"), "utf8").trim();
const entries = (): string[] => readdirSync(cache).filter((name) => /\.(snap|lab)$/.test(name));
const leftovers = (): string[] =>
  readdirSync(cache).filter((name) => name.startsWith(".") || name.endsWith(".build"));
const refusal = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work;
  } catch (error) {
    return (error as Error).message;
  }
  return "no error";
};

describe("a fixture", () => {
  test("is built for the first who asks, comes from the cache for the next run, and is told", async () => {
    put("one", "name hello");
    await using first = open();
    const built = await first.get("one");
    expect(content(built)).toBe("hello");
    first.fixtures.restored(built.lease);
    expect(first.told).toEqual(["build_started one", "build_done one"]);
    await using second = open();
    const cached = await second.get("one");
    expect(second.told).toEqual([]);
    second.fixtures.restored(cached.lease);
    expect(second.told).toEqual(["cache_hit one"]);
    expect(cached.build).toBe(built.build);
    expect(leftovers()).toEqual([]);
  });

  test("is built once for many who ask at the same time", async () => {
    put("one", `wait ${join(root, "go")}`, "name x");
    await using run = open();
    const askers = ["a", "b", "c"].map((path) => run.get("one", { path, file: `/t/${path}` }));
    while (run.told.filter((line) => line.startsWith("build_waiting")).length < 2) await Bun.sleep(5);
    writeFileSync(join(root, "go"), "");
    const answers = await Promise.all(askers);
    expect(new Set(answers.map((answer) => answer.build)).size).toBe(1);
    expect(run.told.filter((line) => line === "build_started one")).toHaveLength(1);
    expect(run.told).toContain("build_waiting one by a");
  });

  test("is built once for two runs, and the one that waits knows for whom", async () => {
    put("one", `wait ${join(root, "go")}`, "name x");
    await using first = open();
    await using second = open({ patienceMs: 10 });
    const building = first.get("one");
    while (first.told.length === 0) await Bun.sleep(5);
    const waiting = second.get("one", { path: "b.test.lua", file: "/t/b.test.lua" });
    while (second.told.length < 2) await Bun.sleep(5);
    writeFileSync(join(root, "go"), "");
    expect((await waiting).build).toBe((await building).build);
    expect(second.told).toEqual([
      "build_waiting one by a.test.lua",
      `fixture \`one\` is awaited: process ${process.pid} has been building it for \`a.test.lua\``,
    ]);
  });

  test("that builds on others has them built, several deep, with one asker and a pool that he fills", async () => {
    put("top", "use middle", "name 3");
    put("middle", "use bottom", "draw 100", "name 2");
    put("bottom", "draw 200", "name 1");
    await using run = open({ poolMib: 300 });
    const mine = { memory_bytes: 300 * MIB - FILE_OVERHEAD.memory_bytes, cpus: 4 };
    run.desk.take({ event: "begun", path: ASKER.path });
    run.desk.take({ event: "draw", id: 99, path: ASKER.path, vm: "mine", amount: mine });
    expect(content(await run.get("top"))).toMatch(/^1 *2 *3$/);
    expect(entries()).toHaveLength(3);
    expect(run.desk.schedule.used).toEqual({ memory_bytes: 300 * MIB, cpus: 4 });
  });

  test("is built anew when something changes that only its build, or that of one below it, has used", async () => {
    put("top", "use bottom", "name t");
    put("bottom", "reads data.txt", "name b");
    writeFileSync(join(root, "data.txt"), "1");
    const build = async (): Promise<string> => {
      await using run = open();
      // Without this the file would count as changed during the build.
      await Bun.sleep(20);
      return content(await run.get("top"));
    };
    await Bun.sleep(20);
    expect(await build()).toMatch(/^1b *t$/);
    writeFileSync(join(root, "data.txt"), "2");
    await Bun.sleep(20);
    expect(await build()).toMatch(/^2b *t$/);
    expect(entries()).toHaveLength(4);
    writeFileSync(join(root, "data.txt"), "1");
    await using run = open();
    expect(content(await run.get("top"))).toMatch(/^1b *t$/);
    expect(run.told).toEqual([]);
  });

  test("whose snapshot lies elsewhere is copied", async () => {
    put("one", "elsewhere", "name x");
    await using run = open();
    expect(content(await run.get("one"))).toBe("x");
    expect(leftovers()).toEqual([]);
  });

  test("may be kept compressed, and is unpacked once for a run", async () => {
    put("one", "name x");
    await using run = open({ compress: true });
    const [a, b] = [await run.get("one"), await run.get("one")];
    expect(content(a)).toBe("x");
    expect(b.directory).toBe(a.directory);
    expect(readdirSync(join(cache, entries()[0] as string)).sort()).toEqual(["fixture.json", "memory.zst"]);
    writeFileSync(join(cache, entries()[0] as string, "memory.zst"), "damage");
    await using other = open({ compress: true });
    expect(content(await other.get("one"))).toBe("x");
    expect(other.told[0]).toContain("fixture `one` cannot be restored and is built anew");
  });

  test("of a lab is not one of a vm", async () => {
    put("pair", "lab", "name x");
    await using run = open();
    expect(await refusal(run.get("pair"))).toBe("fixture `pair` is a snapshot of a lab, not of one vm");
  });
});

describe("what goes wrong", () => {
  test("a fixture that nobody has written", async () => {
    await using run = open();
    expect(await refusal(run.get("none"))).toContain("fixture `none` not found in any test root");
  });

  test("a build that fails is told with what it printed, to everybody, and not tried again in this run", async () => {
    put("bad", "print first words", "print last words", "fail bad.fixture.lua:1: boom");
    await using run = open();
    const text =
      "fixture `bad` could not be built: bad.fixture.lua:1: boom\nIt printed:\n  first words\n  last words";
    expect(await refusal(run.get("bad"))).toBe(text);
    expect(await refusal(run.get("bad"))).toBe(text);
    expect(run.told).toEqual(["build_started bad", "build_failed bad"]);
    expect(readdirSync(cache)).toEqual([]);
  });

  test("a build that printed a million lines fails as any other, with the last of them", async () => {
    put("bad", `flood ${1 << 20}`, "print last words", "fail boom");
    await using run = open();
    expect(await refusal(run.get("bad"))).toBe(
      `fixture \`bad\` could not be built: boom\nIt printed:\n  ${"\n  ".repeat(19)}last words`,
    );
  });

  test("a fixture that builds on one that fails says so", async () => {
    put("top", "use bad");
    put("bad", "fail boom");
    await using run = open();
    expect(await refusal(run.get("top"))).toBe(
      "fixture `top` could not be built: fixture `bad` could not be built: boom",
    );
  });

  test("a build that never ends is ended at its deadline", async () => {
    put("slow", "hang");
    await using run = open({ timeoutMs: 200 });
    expect(await refusal(run.get("slow"))).toBe(
      "fixture `slow` could not be built: it was not built within 200 ms",
    );
    expect(readdirSync(cache)).toEqual([]);
  }, 20_000);

  test("a builder that is killed is replaced once", async () => {
    put("once", `die ${join(root, "died")}`, "name x");
    put("always", "die");
    await using run = open();
    expect(content(await run.get("once"))).toBe("x");
    expect(await refusal(run.get("always"))).toContain("its builder was killed by SIGKILL");
    expect(leftovers()).toEqual([]);
  });

  test("fixtures that wait for each other are refused, whoever asks first", async () => {
    put("a", "use b");
    put("b", "use a");
    await using run = open();
    const said = await Promise.all([
      refusal(run.get("a")),
      refusal(run.get("b", { path: "b.test.lua", file: "/t/b.test.lua" })),
    ]);
    for (const text of said)
      expect(text).toMatch(/fixtures build on each other in a circle: [ab] → [ab] → [ab]/);
  });

  test("an entry that cannot be restored is built once more, and then it is an error", async () => {
    put("one", "name x");
    await using run = open();
    const first = await run.get("one");
    const reason = "memory is truncated";
    const [second, other] = await Promise.all([
      run.get("one", ASKER, { build: first.build, reason }),
      run.get("one", ASKER, { build: first.build, reason }),
    ]);
    expect(second?.build).not.toBe(first.build);
    expect(other?.build).toBe(second?.build as string);
    expect(run.told.filter((line) => line.startsWith("fixture `one`"))).toEqual([
      "fixture `one` cannot be restored and is built anew: memory is truncated",
    ]);
    expect(await refusal(run.get("one", ASKER, { build: second?.build as string, reason }))).toBe(
      "fixture `one` was built anew and still cannot be restored: memory is truncated",
    );
  });

  test("an entry is not at fault when the host has run out of something", async () => {
    put("one", "name x");
    await using first = open();
    const { build } = await first.get("one");
    const store = new Store(cache, 2 ** 30);
    store.hold = () => {
      throw Object.assign(new Error("EMFILE: too many open files, open"), { code: "EMFILE" });
    };
    await using run = open({ store });
    expect(await refusal(run.get("one"))).toBe(
      "fixture `one` cannot be restored: EMFILE: too many open files, open",
    );
    expect(run.told).toEqual([]);
    expect((await first.get("one")).build).toBe(build);
  });

  test("an entry that can neither be restored nor removed is an error, not an endless attempt", async () => {
    put("one", "name x");
    const store = new Store(cache, 2 ** 30);
    store.remove = () => false;
    await using run = open({ store });
    const { build } = await run.get("one");
    expect(await refusal(run.get("one", ASKER, { build, reason: "memory is truncated" }))).toBe(
      `fixture \`one\` cannot be restored, nor removed from the cache \`${cache}\`: memory is truncated`,
    );
  });

  test("what lies in a cache that cannot be written is copied before machines open it", async () => {
    put("one", "name x");
    const store = new Store(cache, 2 ** 30);
    store.isWritable = () => false;
    await using run = open({ store });
    const [a, b] = [await run.get("one"), await run.get("one")];
    expect(content(a)).toBe("x");
    expect(a.directory.startsWith(cache)).toBe(false);
    expect(b.directory).toBe(a.directory);
  });

  test("a cache that cannot be written is an error with the reason; nothing is left", async () => {
    put("one", "name x");
    await using run = open({ store: new Store("/proc/self/cache", 2 ** 30) });
    expect(await refusal(run.get("one"))).toContain(
      "fixture `one` could not be built: the fixture cache `/proc/self/cache` cannot be written",
    );
    expect(run.desk.schedule.used.memory_bytes).toBe(0);
  });

  test("an entry that is handed out stays until it is restored or its file is over", async () => {
    put("one", "name x");
    const store = new Store(cache, 0);
    await using run = open({ store });
    const { directory, lease } = await run.get("one");
    store.evict();
    expect(existsSync(directory)).toBe(true);
    run.fixtures.restored(lease);
    store.evict();
    expect(existsSync(directory)).toBe(false);
    const again = await run.get("one");
    run.fixtures.fileEnded(ASKER.path);
    store.evict();
    expect(existsSync(again.directory)).toBe(false);
  });

  test("the end of a run ends its builds and leaves nothing half done", async () => {
    put("slow", "hang");
    const run = open();
    const asked = refusal(run.get("slow"));
    while (run.told.length === 0) await Bun.sleep(5);
    await run.fixtures.close();
    expect(await asked).toContain("its builder was killed");
    expect(readdirSync(cache)).toEqual([]);
  });

  test("the end of a run while an entry is unpacked is no fault of the entry, and nothing is written afterwards", async () => {
    put("one", "name x");
    await using first = open({ compress: true });
    await first.get("one");
    const entry = join(cache, entries()[0] as string);
    for (let i = 0; i < 500; i++) writeFileSync(join(entry, `part-${i}`), "");
    const run = open({ compress: true });
    const asked = refusal(run.get("one"));
    const begun = (): boolean => readdirSync(run.directory).length > 0;
    while (!begun()) await Bun.sleep(1);
    await run.fixtures.close();
    rmSync(run.directory, { recursive: true });
    expect(await asked).toBe("the run is over");
    expect(run.told).toEqual([]);
    expect([existsSync(run.directory), existsSync(entry)]).toEqual([false, true]);
  });
});

test("fixtures are built ahead, a few at a time, and whoever asks shares the build", async () => {
  for (const name of ["one", "two", "three"]) put(name, `wait ${join(root, "go")}`, `name ${name}`);
  await using run = open();
  const reference = (name: string) => ({ reference: { name, rule: "lab" as const }, asker: ASKER });
  run.fixtures.ahead([...["one", "two", "three", "none"].map(reference)]);
  while (run.told.length < 2) await Bun.sleep(5);
  await Bun.sleep(50);
  expect(run.told).toEqual(["build_started one", "build_started two"]);
  const asked = run.get("two");
  writeFileSync(join(root, "go"), "");
  expect(content(await asked)).toBe("two");
  while (entries().length < 3) await Bun.sleep(5);
  expect(run.told.filter((line) => line.startsWith("build_started"))).toHaveLength(3);
});

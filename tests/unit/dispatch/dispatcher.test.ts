import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  Dispatcher,
  type Outcome,
  type RunPlan,
  type Surroundings,
} from "../../../src/dispatch/dispatcher.ts";
import { runnerStarter } from "../../../src/dispatch/runner-process.ts";
import { HostError } from "../../../src/errors/errors.ts";
import { EventStream } from "../../../src/events/stream.ts";
import type { EventKind, ProviumEvent, ResourceAmount } from "../../../src/events/types.ts";
import { RunDirectory } from "../../../src/sys/directory.ts";

const FAKE = join(import.meta.dir, "fake-runner.ts");
const GIB = 2 ** 30;
let base: string;

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "provium-test-"));
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

interface Seen {
  readonly outcome: Outcome;
  readonly events: readonly ProviumEvent[];
}

const run = async (
  names: readonly string[],
  options: Partial<RunPlan> & {
    environment?: NodeJS.ProcessEnv;
    onEvent?: (event: ProviumEvent, dispatcher: Dispatcher) => void;
    pressure?: Surroundings["pressure"];
  } = {},
  claim?: ResourceAmount,
): Promise<Seen> => {
  using directory = RunDirectory.open(base);
  const events: ProviumEvent[] = [];
  const stream = new EventStream();
  const { environment, onEvent, pressure, ...plan } = options;
  const dispatcher = new Dispatcher(
    {
      files: names.map((name) => ({ file: `/t/${name}`, path: name, dialect: "lab" as const, claim })),
      jobs: 2,
      pool: { memory_bytes: GIB, cpus: 2 },
      timeoutMs: 0,
      retries: 0,
      failFast: false,
      keep: false,
      runnerMemory: GIB,
      draws: true,
      job: (file) => ({
        ...file,
        roots: [],
        project: "/t",
        profiles: {},
        filter: { includeSlow: false, tags: [], noTags: [], names: [], tagMeta: [], noTagMeta: [] },
        vmm: "local",
        accel: "tcg",
        transport: "serial",
        network: "user",
        timeoutMs: 0,
        luaMemoryMb: 64,
        assets: { agent: "", wrapper: "", helper: "" },
      }),
      ...plan,
    },
    {
      stream,
      startRunner: runnerStarter([process.execPath, FAKE], { ...process.env, ...environment }),
      directory: (name) => join(directory.path, name),
      pressure,
      boot: () => ({ kernel: "/k", initrd: "/i", cmdline: "c" }),
    },
  );
  stream.subscribe((event) => {
    events.push(event);
    onEvent?.(event, dispatcher);
  });
  const outcome = await dispatcher.run();
  return { outcome, events };
};

const of = <K extends EventKind>(events: readonly ProviumEvent[], kind: K) =>
  events.filter((event): event is Extract<ProviumEvent, { kind: K }> => event.kind === kind);

const completed = (events: readonly ProviumEvent[], path: string) =>
  of(events, "file_completed").find((event) => event.payload.path === path)?.payload;

describe("dispatcher", () => {
  test("every file runs once and its events arrive in order", async () => {
    const { outcome, events } = await run(["pass1", "pass2", "fail3", "pass4"]);
    expect([...outcome.statuses].sort()).toEqual([
      ["fail3", "failed"],
      ["pass1", "passed"],
      ["pass2", "passed"],
      ["pass4", "passed"],
    ]);
    for (const name of ["pass1", "pass2", "pass4"]) {
      const own = events.filter((event) => "path" in event.payload && event.payload.path === name);
      expect(own.map((event) => event.kind)).toEqual([
        "file_dispatched",
        "test_started",
        "test_passed",
        "file_completed",
      ]);
    }
  });

  test("a clean runner is used again, a dirty one is not", async () => {
    const pids = (seen: Seen) => of(seen.events, "test_passed").map((event) => event.payload.log[0]);
    expect(new Set(pids(await run(["pass1", "pass2", "pass3"], { jobs: 1 }))).size).toBe(1);
    expect(new Set(pids(await run(["dirty1", "dirty2", "dirty3"], { jobs: 1 }))).size).toBe(3);
  });

  test("a killed runner crashes its file alone, and everything it left open is closed", async () => {
    const { outcome, events } = await run(["crash1", "pass2", "pass3"]);
    expect(outcome.statuses.get("crash1")).toBe("crashed");
    expect(outcome.statuses.get("pass2")).toBe("passed");
    expect(outcome.statuses.get("pass3")).toBe("passed");
    expect(completed(events, "crash1")?.error).toContain("the runner was killed by SIGKILL");
    expect(completed(events, "crash1")?.error).toContain("something is rotten");
    const failed = of(events, "test_failed")[0]?.payload;
    expect(failed?.name).toBe("one");
    expect(failed?.reason).toContain("the runner was killed by SIGKILL");
    expect(failed?.meta).toEqual({ tags: "x" });
    expect(of(events, "vm_shutdown")).toHaveLength(1);
    expect(events.at(-1)?.kind).toBe("file_completed");
  });

  test("a file whose runner dies before it says anything of the file is given to another one, as the same attempt", async () => {
    const { outcome, events } = await run(["unheard1"], { retries: 1 });
    expect(outcome.statuses.get("unheard1")).toBe("passed");
    expect(events.map((event) => event.kind)).toEqual([
      "file_dispatched",
      "notice",
      "test_started",
      "test_passed",
      "file_completed",
    ]);
    expect(of(events, "notice")[0]?.payload.text).toBe(
      "unheard1 gets another runner: its first one was killed by SIGKILL before it said anything of the file",
    );
    expect(completed(events, "unheard1")?.flaky).toBeUndefined();
  });

  test("a file of which two runners die without a word has crashed", async () => {
    const { outcome, events } = await run(["mute1", "pass2"]);
    expect([...outcome.statuses]).toEqual(
      expect.arrayContaining([
        ["mute1", "crashed"],
        ["pass2", "passed"],
      ]),
    );
    expect(completed(events, "mute1")?.error).toContain("the runner was killed by SIGKILL");
    const own = events.filter((event) => "path" in event.payload && event.payload.path === "mute1");
    expect(own.map((event) => event.kind)).toEqual(["file_dispatched", "file_completed"]);
  });

  test("a runner that does not come back after its deadline is killed and the file has timed out", async () => {
    const { outcome, events } = await run(["deaf1", "pass2"], { timeoutMs: 300 });
    expect(outcome.statuses.get("deaf1")).toBe("timed_out");
    expect(outcome.statuses.get("pass2")).toBe("passed");
    expect(of(events, "test_failed")[0]?.payload.reason).toBe("the file's deadline of 300 ms has passed");
    expect(of(events, "vm_shutdown")).toHaveLength(1);
  });

  test("a runner that its own alarm has ended is out of time, not broken", async () => {
    const { outcome, events } = await run(["overdue1", "pass2"]);
    expect(outcome.statuses.get("overdue1")).toBe("timed_out");
    expect(outcome.statuses.get("pass2")).toBe("passed");
    expect(of(events, "test_failed")[0]?.payload.reason).toContain(
      "did not come back after the test's deadline",
    );
  });

  test("half a frame of a runner that died is dropped", async () => {
    const { outcome, events } = await run(["torn1", "pass2"], { jobs: 1 });
    expect(outcome.statuses.get("torn1")).toBe("crashed");
    expect(outcome.statuses.get("pass2")).toBe("passed");
    expect(of(events, "output")).toHaveLength(0);
  });

  test("what dead runners held or waited for is there for the others", async () => {
    const names = ["hoarder1", "impatient2", "hoarder3", "impatient4", "claimer5", "claimer6"];
    const { outcome } = await run(names, { jobs: 3 });
    expect([...outcome.statuses.values()].filter((status) => status === "crashed")).toHaveLength(4);
    expect(outcome.statuses.get("claimer5")).toBe("passed");
    expect(outcome.statuses.get("claimer6")).toBe("passed");
  });

  test("a runner that ends its file when asked keeps what it has to say", async () => {
    const { outcome, events } = await run(["polite1"], { timeoutMs: 300 });
    expect(outcome.statuses.get("polite1")).toBe("timed_out");
    expect(completed(events, "polite1")?.error).toBe("the file's deadline of 300 ms has passed");
    expect(of(events, "test_failed")).toHaveLength(1);
  });

  test("a runner that sends garbage is killed", async () => {
    const { outcome, events } = await run(["garbage1", "pass2"], { jobs: 1 });
    expect(outcome.statuses.get("garbage1")).toBe("crashed");
    expect(outcome.statuses.get("pass2")).toBe("passed");
    expect(completed(events, "garbage1")?.error).toContain("4294967295 bytes");
  });

  test("a runner that fills the host's memory is killed with the figures", async () => {
    const { outcome, events } = await run(["hungry1", "pass2"], { runnerMemory: 300 * 2 ** 20 });
    expect(outcome.statuses.get("hungry1")).toBe("crashed");
    expect(outcome.statuses.get("pass2")).toBe("passed");
    expect(completed(events, "hungry1")?.error).toMatch(
      /^the file has filled [\d.]+ MiB of memory on the host; 300 MiB are allowed$/,
    );
  });

  test("with fail-fast nothing is dispatched after the first failure", async () => {
    const { outcome } = await run(["fail1", "pass2", "pass3"], { jobs: 1, failFast: true });
    expect([...outcome.statuses.keys()]).toEqual(["fail1"]);
    expect(outcome.notRun).toBe(2);
  });

  test("the first interruption asks, the run ends as interrupted and the rest is not run", async () => {
    const { outcome, events } = await run(["polite1", "pass2", "pass3"], {
      jobs: 1,
      onEvent: (event, dispatcher) => {
        if (event.kind === "test_started") dispatcher.interrupt("interrupted");
      },
    });
    expect(outcome.interrupted).toBe(true);
    expect(outcome.notRun).toBe(2);
    expect(completed(events, "polite1")?.error).toBe("interrupted");
  });

  test("the second interruption kills at once", async () => {
    const { outcome, events } = await run(["deaf1", "pass2"], {
      jobs: 1,
      onEvent: (event, dispatcher) => {
        if (event.kind !== "test_started") return;
        dispatcher.interrupt("interrupted");
        dispatcher.interrupt("interrupted");
      },
    });
    expect(outcome.interrupted).toBe(true);
    expect(of(events, "test_failed")[0]?.payload.reason).toBe("interrupted");
    expect(of(events, "vm_shutdown")).toHaveLength(1);
  });

  test("a claim larger than the pool is refused with both figures", async () => {
    const { events } = await run(["greedy1"]);
    expect(completed(events, "greedy1")?.error).toMatch(/asks for 8192 TiB of memory; the pool has 974 MiB/);
  });

  test("a claim that was read from the file is reserved before it starts, and is granted when it is made", async () => {
    const big = { memory_bytes: 900 * 2 ** 20, cpus: 1 };
    const { outcome, events } = await run(["states1", "states2"], {}, big);
    expect([...outcome.statuses.values()]).toEqual(["passed", "passed"]);
    expect(of(events, "file_dispatched").map((event) => event.payload.reservation)).toEqual([
      { memory_bytes: 950 * 2 ** 20, cpus: 1 },
      { memory_bytes: 950 * 2 ** 20, cpus: 1 },
    ]);
  });

  test("under pressure files run one after another", async () => {
    let most = 0;
    let running = 0;
    const { outcome } = await run(["slow1", "slow2", "slow3"], {
      jobs: 3,
      pressure: { read: () => ({ cpu: 0, memory: 99 }), limits: { cpu: 50, memory: 20 } },
      onEvent: ({ kind }) => {
        if (kind === "file_dispatched") most = Math.max(most, ++running);
        if (kind === "file_completed") running--;
      },
    });
    expect(outcome.statuses.size).toBe(3);
    expect(most).toBe(1);
  });

  test("a file that fails is run again, and one that passes then is flaky", async () => {
    const { outcome, events } = await run(["moody1", "fail2", "crash3"], { retries: 2, jobs: 1 });
    expect([...outcome.statuses].sort()).toEqual([
      ["crash3", "crashed"],
      ["fail2", "failed"],
      ["moody1", "passed"],
    ]);
    expect(completed(events, "moody1")?.flaky).toBe(true);
    const retried = of(events, "file_retried").map(({ payload }) => `${payload.path} ${payload.attempt}`);
    expect(retried.sort()).toEqual(["crash3 1", "crash3 2", "fail2 1", "fail2 2", "moody1 1"]);
    expect(of(events, "file_completed")).toHaveLength(3);
    const attempts = of(events, "file_dispatched").filter(({ payload }) => payload.path === "fail2");
    expect(attempts.map(({ payload }) => payload.attempt)).toEqual([undefined, 2, 3]);
  });

  test("an interrupted run tries nothing again", async () => {
    const { outcome, events } = await run(["polite1"], {
      retries: 3,
      onEvent: (event, dispatcher) => {
        if (event.kind === "test_started") dispatcher.interrupt("interrupted");
      },
    });
    expect(outcome.interrupted).toBe(true);
    expect(of(events, "file_retried")).toHaveLength(0);
  });

  test("a boot request is answered with the artefacts", async () => {
    const { events } = await run(["boot1"]);
    expect(JSON.parse(completed(events, "boot1")?.error ?? "null")).toEqual({
      type: "answer",
      id: 7,
      value: { kernel: "/k", initrd: "/i", cmdline: "c" },
    });
  });

  test("runners that cannot start end the run with an error", async () => {
    await expect(run(["pass1"], { environment: { FAKE_RUNNER: "broken" } })).rejects.toThrow(HostError);
  });

  test("further runners that cannot start do not end the run of one that works", async () => {
    const directory = mkdtempSync(join(base, "runners-"));
    const environment = { FAKE_RUNNER: "single", FAKE_RUNNER_DIRECTORY: directory };
    const { outcome } = await run(["patient1", "pass2"], { jobs: 2, environment });
    expect([...outcome.statuses.values()]).toEqual(["passed", "passed"]);
    expect(readFileSync(join(directory, "refused"), "utf8")).toBe("xxx");
  });

  test("nothing is left in the temporary directory", async () => {
    await run(["pass1", "crash2"]);
    expect(existsSync(base)).toBe(true);
    expect([...new Bun.Glob("*").scanSync({ cwd: base, onlyFiles: false })]).toEqual([]);
  });
});

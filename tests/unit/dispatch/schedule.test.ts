import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type Action, Schedule } from "../../../src/dispatch/schedule.ts";
import { type Load, lowerBound, simulate } from "./simulator.ts";

const MIB = 2 ** 20;
const mib = (memory: number, cpus = 0) => ({ memory_bytes: memory * MIB, cpus });

/** A schedule whose draws and claims are known by their machine's name. */
const fixture = (memoryMib: number, cpus: number, { patience = 8, idle = 100 } = {}) => {
  const schedule = new Schedule(mib(memoryMib, cpus), patience);
  const names = new Map<number, string>();
  let serial = 0;
  const actions: Action[] = [];
  const step: Schedule["step"] = (what) => {
    const done = schedule.step(what);
    actions.push(...done);
    return done;
  };
  step({ event: "runners", idle });
  const ask = (event: "draw" | "claim", path: string, vm: string, amount: ReturnType<typeof mib>) => {
    const id = ++serial;
    names.set(id, vm);
    step({ event, id, path, vm, amount });
  };
  return {
    schedule,
    actions,
    step,
    queue: (path: string, claim = mib(0)) => step({ event: "queued", path, claim }),
    draw: (path: string, vm: string, memory: number, wanted = 1) =>
      ask("draw", path, vm, mib(memory, wanted)),
    claim: (path: string, memory: number, wanted = 0) =>
      ask("claim", path, `${path} claims`, mib(memory, wanted)),
    release: (vm: string) =>
      step({
        event: "release",
        id: [...names].find(([, name]) => name === vm)?.[0] as number,
      }),
    granted: () => actions.flatMap((action) => (action.act === "grant" ? [names.get(action.id)] : [])),
    started: () => actions.flatMap((action) => (action.act === "dispatch" ? [action.path] : [])),
    refusals: () => actions.flatMap((action) => (action.act === "refuse" ? [action.message] : [])),
    blocked: () =>
      actions.flatMap((action) => (action.act === "blocked" ? [`${action.path} ${action.reason}`] : [])),
  };
};

describe("draws", () => {
  test("a draw that fits is granted at once, others wait for a release in order", () => {
    const { queue, draw, granted, release } = fixture(1000, 4);
    for (const file of ["a", "b", "c"]) queue(file);
    draw("a", "a1", 600);
    draw("b", "b1", 600);
    draw("a", "a2", 500);
    expect(granted()).toEqual(["a1"]);
    release("a1");
    expect(granted()).toEqual(["a1", "b1"]);
  });

  test("a smaller draw goes ahead of one that does not fit, but not more often than patience allows", () => {
    const { queue, draw, granted, release } = fixture(1000, 100, { patience: 2 });
    for (const file of ["a", "b", "c"]) queue(file);
    draw("a", "a1", 700, 0);
    draw("b", "big", 500, 0);
    for (const name of ["s1", "s2", "s3"]) draw("a", name, 10, 0);
    expect(granted()).toEqual(["a1", "s1", "s2"]);
    release("a1");
    expect(granted()).toEqual(["a1", "s1", "s2", "big", "s3"]);
  });

  test("machines draw on their file's claim first, and only what exceeds it counts", () => {
    const { schedule, queue, draw } = fixture(1000, 4);
    queue("a", mib(300, 2));
    expect(schedule.used).toEqual(mib(350, 2));
    draw("a", "a1", 200);
    expect(schedule.used).toEqual(mib(350, 2));
    draw("a", "a2", 200);
    expect(schedule.used).toEqual(mib(450, 2));
  });

  test("when every file waits the oldest file goes ahead, and that is said", () => {
    const { queue, draw, granted, actions } = fixture(1000, 8);
    queue("a");
    queue("b");
    draw("a", "a1", 400);
    draw("b", "b1", 400);
    draw("b", "b2", 400);
    expect(granted()).toEqual(["a1", "b1"]);
    draw("a", "a2", 400);
    expect(granted()).toEqual(["a1", "b1", "a2"]);
    expect(actions.find((action) => action.act === "overdrawn")).toEqual({
      act: "overdrawn",
      path: "a",
      excess: mib(300),
    });
  });

  test("a file alone may use more CPUs than there are, one machine may not", () => {
    const { queue, draw, granted, refusals } = fixture(1000, 2);
    queue("a");
    draw("a", "a1", 10, 2);
    draw("a", "a2", 10, 2);
    expect(granted()).toEqual(["a1", "a2"]);
    draw("a", "a3", 10, 3);
    expect(refusals()).toEqual(["vm `a3` asks for 3 CPUs; the pool has 2"]);
  });

  test("a pool smaller than what a file itself is charged has nothing for machines, and lets those run that need nothing", () => {
    const { queue, draw, granted, refusals } = fixture(40, 2);
    queue("a");
    draw("a", "a1", 500);
    expect(refusals()).toEqual(["vm `a1` asks for 500 MiB of memory; the pool has 0 B"]);
    draw("a", "a2", 0, 0);
    expect(granted()).toEqual(["a2"]);
  });

  test("memory that a file could never have is refused with both figures", () => {
    const { queue, draw, refusals } = fixture(1000, 2);
    queue("a");
    draw("a", "a1", 500);
    draw("a", "a2", 500);
    expect(refusals()).toEqual([
      "vm `a2` asks for 500 MiB of memory on top of the 500 MiB that its file holds; the pool has 950 MiB",
    ]);
  });

  test("a file that ends gives everything back and takes its wishes along", () => {
    const { schedule, queue, draw, granted, step } = fixture(1000, 8);
    queue("a");
    queue("b");
    draw("a", "a1", 800);
    draw("b", "b1", 500);
    draw("a", "a2", 200);
    step({ event: "ended", path: "a" });
    expect(granted()).toEqual(["a1", "b1"]);
    step({ event: "ended", path: "b" });
    expect(schedule.used).toEqual(mib(0));
  });

  test("what comes from a file that is over changes nothing", () => {
    const { schedule, queue, draw, granted, step, release } = fixture(1000, 8);
    queue("a");
    draw("a", "a1", 100);
    step({ event: "ended", path: "a" });
    release("a1");
    draw("a", "a2", 100);
    step({ event: "ended", path: "a" });
    expect(granted()).toEqual(["a1"]);
    expect(schedule.used).toEqual(mib(0));
  });
});

describe("claims", () => {
  test("a claim made by running code waits for what is missing", () => {
    const { queue, claim, draw, granted, step } = fixture(1000, 8);
    queue("a");
    queue("b");
    draw("a", "a1", 600);
    claim("b", 500);
    expect(granted()).toEqual(["a1"]);
    step({ event: "ended", path: "a" });
    expect(granted()).toEqual(["a1", "b claims"]);
  });

  test("a claim that was read at discovery is granted without a second reservation", () => {
    const { schedule, queue, claim, granted } = fixture(1000, 8);
    queue("a", mib(800, 4));
    claim("a", 800, 4);
    expect(granted()).toEqual(["a claims"]);
    expect(schedule.used).toEqual(mib(850, 4));
  });

  test("a claim larger than the pool is refused with both figures where it is made; the file starts all the same", () => {
    const { queue, claim, started, refusals } = fixture(1000, 2);
    queue("a", mib(4096));
    queue("b");
    expect(started()).toEqual(["a", "b"]);
    claim("a", 4096);
    claim("b", 10, 3);
    expect(refusals()).toEqual([
      "claim: the file asks for 4 GiB of memory; the pool has 950 MiB",
      "claim: the file asks for 3 CPUs; the pool has 2",
    ]);
  });
});

describe("files", () => {
  test("a file waits for room unless it would be alone, and says so once", () => {
    const { queue, started, blocked, step } = fixture(60, 1);
    queue("a");
    queue("b");
    step({ event: "runners", idle: 3 });
    expect(started()).toEqual(["a"]);
    expect(blocked()).toEqual(["b pool_full"]);
    step({ event: "ended", path: "a" });
    expect(started()).toEqual(["a", "b"]);
  });

  test("no file is said to be blocked while it only waits for a runner", () => {
    const { queue, started, blocked } = fixture(1000, 1, { idle: 1 });
    queue("a");
    queue("b");
    expect(started()).toEqual(["a"]);
    expect(blocked()).toEqual([]);
  });

  test("under pressure nothing starts, unless nothing runs", () => {
    const { queue, started, blocked, step } = fixture(1000, 1);
    step({ event: "pressure", allowed: 0 });
    queue("a");
    queue("b");
    queue("c");
    expect(started()).toEqual(["a"]);
    expect(blocked()).toEqual(["b psi_pressure"]);
    step({ event: "pressure", allowed: 2 });
    expect(started()).toEqual(["a", "b"]);
    step({ event: "pressure", allowed: Number.POSITIVE_INFINITY });
    expect(started()).toEqual(["a", "b", "c"]);
  });

  test("a small file goes ahead of a large one that does not fit, until patience ends", () => {
    const { queue, started, step } = fixture(1000, 1, { patience: 2 });
    queue("first", mib(500));
    queue("large", mib(600));
    for (const name of ["s1", "s2", "s3"]) queue(name);
    expect(started()).toEqual(["first", "s1", "s2"]);
    step({ event: "ended", path: "first" });
    expect(started()).toEqual(["first", "s1", "s2", "large", "s3"]);
  });
});

const TOTAL = mib(4096, 8);

const amount = fc.record({
  memory_bytes: fc.integer({ min: 0, max: 5000 }).map((n) => n * MIB),
  cpus: fc.integer({ min: 0, max: 9 }),
});
const phase = fc.record({
  machine: fc.option(amount, { nil: undefined }),
  ms: fc.integer({ min: 0, max: 5000 }),
});
const loadsOf = (one: fc.Arbitrary<Omit<Load, "path">>, max = 40) =>
  fc
    .array(one, { maxLength: max })
    .map((loads) => loads.map((load, i): Load => ({ ...load, path: `f${i}` })));
const anything = loadsOf(
  fc.record({ claim: amount, phases: fc.array(phase, { maxLength: 4 }) }) as fc.Arbitrary<Omit<Load, "path">>,
);
/** Files that state what they need, and need no more. */
const claimed = loadsOf(
  fc.record({
    claim: fc.record({
      memory_bytes: fc.integer({ min: 0, max: 4000 }).map((n) => n * MIB),
      cpus: fc.integer({ min: 0, max: 8 }),
    }),
    phases: fc.array(fc.record({ ms: fc.integer({ min: 1, max: 5000 }) }), { minLength: 1, maxLength: 1 }),
  }),
  80,
);
const jobs = fc.integer({ min: 1, max: 12 });
const patience = fc.integer({ min: 0, max: 20 });

describe("whatever the load", () => {
  test("every file comes to its end: nothing deadlocks, nothing starves", () => {
    fc.assert(
      fc.property(anything, jobs, patience, (loads, atOnce, patient) => {
        const seen = simulate(loads, TOTAL, atOnce, patient);
        expect(seen.ended.size).toBe(loads.length);
        expect(new Set(seen.dispatched).size).toBe(loads.length);
      }),
      { numRuns: 500 },
    );
  });

  test("the pool is never overbooked but for the oldest file, and then it is said", () => {
    fc.assert(
      fc.property(anything, jobs, patience, (loads, atOnce, patient) => {
        expect(simulate(loads, TOTAL, atOnce, patient).overbooked).toBe(0);
      }),
      { numRuns: 500 },
    );
  });

  test("files that claim what they need are never given more than the pool has", () => {
    fc.assert(
      fc.property(claimed, jobs, patience, (loads, atOnce, patient) => {
        const seen = simulate(loads, TOTAL, atOnce, patient);
        expect(seen.overdrafts).toEqual([]);
        expect(seen.overbooked).toBe(0);
        expect(seen.utilisation.memory).toBeLessThanOrEqual(1);
      }),
    );
  });

  test("no file is overtaken more often than patience allows", () => {
    fc.assert(
      fc.property(claimed, jobs, patience, (loads, atOnce, patient) => {
        expect(simulate(loads, TOTAL, atOnce, patient).overtaken).toBeLessThanOrEqual(patient);
      }),
    );
  });

  test("the makespan stays within a factor of the lower bound (list scheduling: resources and runners, plus one)", () => {
    fc.assert(
      fc.property(claimed, jobs, (loads, atOnce) => {
        fc.pre(loads.length > 0);
        const seen = simulate(loads, TOTAL, atOnce, 1000);
        expect(seen.makespan).toBeLessThanOrEqual(4 * lowerBound(loads, TOTAL, atOnce));
      }),
    );
  });
});

test("a mixed load keeps at least 90 % of the pool in use", () => {
  // Small, medium and large files as a real suite has them; the longest first, as the last run's timings give it.
  const loads = Array.from({ length: 400 }, (_, i): Load => {
    const memory = [128, 256, 512, 512, 1024, 2048][i % 6] as number;
    const ms = 500 + ((i * 7919) % 9500);
    return { path: `f${i}`, claim: mib(memory, 1), phases: [{ ms }] };
  }).sort((a, b) => (b.phases[0]?.ms ?? 0) - (a.phases[0]?.ms ?? 0));
  const seen = simulate(loads, mib(16 * 1024, 64), 64, 32);
  expect(seen.utilisation.memory).toBeGreaterThanOrEqual(0.9);
  expect(seen.makespan).toBeLessThanOrEqual(1.12 * lowerBound(loads, mib(16 * 1024, 64), 64));
});

describe("files that wait for others", () => {
  test("what they wait for goes ahead over the pool; a file that only computes does not let it", () => {
    const { queue, draw, step, granted, actions } = fixture(1000, 4);
    queue("a");
    draw("a", "a1", 800);
    step({ event: "begun", path: "fixture f" });
    draw("fixture f", "f1", 800);
    expect(granted()).toEqual(["a1"]);
    step({ event: "parked", path: "a", wait: 1 });
    expect(granted()).toEqual(["a1", "f1"]);
    expect(actions.filter(({ act }) => act === "overdrawn")).toHaveLength(1);
    step({ event: "ended", path: "fixture f" });
    step({ event: "unparked", path: "a", wait: 1 });
    step({ event: "begun", path: "fixture g" });
    draw("fixture g", "g1", 800);
    expect(granted()).toEqual(["a1", "f1"]);
  });

  test("a file that waits twice waits until both have come", () => {
    const { queue, draw, step, granted } = fixture(1000, 4);
    queue("a");
    draw("a", "a1", 800);
    step({ event: "begun", path: "f" });
    for (const wait of [1, 2]) step({ event: "parked", path: "a", wait });
    step({ event: "unparked", path: "a", wait: 1 });
    draw("f", "f1", 800);
    expect(granted()).toEqual(["a1", "f1"]);
  });

  test("the end of a wait does not count for the next attempt of a file that died over it", () => {
    const { queue, draw, step, granted } = fixture(1000, 4);
    queue("a");
    step({ event: "parked", path: "a", wait: 1 });
    step({ event: "ended", path: "a" });
    queue("a");
    draw("a", "a1", 800);
    step({ event: "begun", path: "f" });
    draw("f", "f1", 800);
    step({ event: "unparked", path: "a", wait: 1 });
    expect(granted()).toEqual(["a1"]);
    step({ event: "parked", path: "a", wait: 2 });
    expect(granted()).toEqual(["a1", "f1"]);
  });

  test("nobody is given more while somebody computes, and all that was held comes back", () => {
    const { queue, draw, step, granted, schedule } = fixture(1000, 4);
    for (const file of ["a", "b"]) queue(file);
    draw("a", "a1", 600);
    step({ event: "parked", path: "a", wait: 1 });
    step({ event: "begun", path: "f" });
    draw("f", "f1", 600);
    expect(granted()).toEqual(["a1"]);
    step({ event: "ended", path: "b" });
    expect(granted()).toEqual(["a1", "f1"]);
    for (const path of ["a", "f"]) step({ event: "ended", path });
    expect(schedule.used).toEqual({ memory_bytes: 0, cpus: 0 });
  });
});

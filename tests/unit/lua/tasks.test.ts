import { expect, test } from "bun:test";
import { InterruptedError } from "../../../src/errors/errors.ts";
import { Tasks } from "../../../src/lua/tasks.ts";
import { closeFd, pipePair, writeSome } from "../../../src/sys/libc.ts";
import { after, called, monotonic, NEVER, type Op, sleep, until } from "../../../src/sys/op.ts";
import { POLLIN, Reactor } from "../../../src/sys/reactor.ts";

const newTasks = (): Tasks => new Tasks(new Reactor());

test("whoever waits advances every task", () => {
  const tasks = newTasks();
  const seen: string[] = [];
  const count = function* (name: string): Op<string> {
    for (let i = 0; i < 3; i++) {
      seen.push(name + i);
      yield { ready: () => true, deadline: NEVER };
    }
    return name;
  };
  const a = tasks.start(count("a"));
  const b = tasks.start(count("b"));
  tasks.run(until(() => a.done && b.done));
  expect(seen).toEqual(["a0", "b0", "a1", "b1", "a2", "b2"]);
  expect([a.take(), b.take()]).toEqual(["a", "b"]);
});

test("who waits for several tasks and is interrupted is told what each of them was in", () => {
  const tasks = newTasks();
  const group = tasks.all<unknown>([
    called(
      until(() => false),
      "flock",
      "worker 2",
    ),
    sleep(1000),
    called(
      until(() => false),
      "read",
      "worker 3",
    ),
  ]);
  group.next();
  tasks.run(sleep(5));
  const stop = new InterruptedError("the deadline has passed");
  expect(() => group.throw(stop)).toThrow(stop);
  expect(stop.message).toBe("the deadline has passed inside flock of worker 2, read of worker 3");
});

test("a wait inside a task advances the others but never the task itself", () => {
  const tasks = newTasks();
  let turns = 0;
  let entered = 0;
  const other = function* (): Op<void> {
    for (;;) {
      turns++;
      yield* sleep(1);
    }
  };
  const outer = function* (): Op<string> {
    entered++;
    tasks.run(until(() => turns > 3));
    yield* sleep(1);
    return "out";
  };
  tasks.start(other());
  const task = tasks.start(outer());
  tasks.run(until(() => task.done));
  expect(task.take()).toBe("out");
  expect(entered).toBe(1);
  expect(tasks.close().failures).toEqual([]);
});

test("a deadline of a wait passes although tasks keep going", () => {
  const tasks = newTasks();
  const busy = function* (): Op<void> {
    for (;;) yield { ready: () => true, deadline: NEVER };
  };
  tasks.start(busy());
  expect(tasks.run(until(() => false, after(20)))).toBe(false);
  tasks.close();
});

test("a task that asks again and again does not keep the others from what arrives", () => {
  const reactor = new Reactor();
  const tasks = new Tasks(reactor);
  const [reader, writer] = pipePair();
  let arrived = false;
  const watch = reactor.watch(reader, POLLIN, () => {
    arrived = true;
  });
  let asked = 0;
  const poll = function* (): Op<void> {
    while (!arrived) {
      if (++asked > 10_000) throw new Error("nothing has arrived");
      yield* until(() => arrived, 0);
    }
  };
  writeSome(writer, new Uint8Array(1));
  const task = tasks.start(poll());
  tasks.run(until(() => task.done));
  task.take();
  watch.close();
  for (const fd of [reader, writer]) closeFd(fd);
});

test("a task whose deadline passed while nobody waited is told what had arrived by then", () => {
  const reactor = new Reactor();
  const tasks = new Tasks(reactor);
  const [reader, writer] = pipePair();
  let begun = false;
  let arrived = false;
  const watch = reactor.watch(reader, POLLIN, () => {
    arrived = true;
  });
  const deadline = after(20);
  const listen = function* (): Op<boolean> {
    begun = true;
    return yield* until(() => arrived, deadline);
  };
  const task = tasks.start(listen());
  tasks.run(until(() => begun));
  writeSome(writer, new Uint8Array(1));
  while (monotonic() <= deadline);
  tasks.run(until(() => task.done));
  expect(task.take()).toBe(true);
  watch.close();
  for (const fd of [reader, writer]) closeFd(fd);
});

test("an interruption reaches whoever waits beside a task that is always due", () => {
  const reactor = new Reactor();
  const tasks = new Tasks(reactor);
  let asked = 0;
  reactor.setInterrupt({
    check: () => (asked > 5 ? new InterruptedError("enough") : undefined),
    deadline: () => NEVER,
  });
  const busy = function* (): Op<void> {
    for (;;) {
      if (++asked > 10_000) throw new Error("never interrupted");
      yield { ready: () => true, deadline: NEVER };
    }
  };
  tasks.start(busy());
  expect(() => tasks.run(until(() => asked > 10_000))).toThrow("enough");
  reactor.setInterrupt(undefined);
  tasks.close();
});

test("all: the first failure cancels the others, which release what they hold", () => {
  const tasks = newTasks();
  const released: string[] = [];
  const hold = function* (): Op<void> {
    try {
      yield* until(() => false);
    } finally {
      released.push("held");
    }
  };
  // biome-ignore lint/correctness/useYield: fails before it waits
  const fail = function* (): Op<void> {
    throw new Error("first");
  };
  expect(() => tasks.run(tasks.all([hold(), fail(), hold()]))).toThrow("first");
  expect(released).toEqual(["held", "held"]);
  expect(tasks.close().failures).toEqual([]);
});

test("a failure that nobody asks for comes out at the end; one that was asked for does not", () => {
  const tasks = newTasks();
  // biome-ignore lint/correctness/useYield: fails before it waits
  const fail = function* (): Op<void> {
    throw new Error("lost");
  };
  const seen = tasks.start(fail());
  const unseen = tasks.start(fail());
  tasks.run(until(() => seen.done && unseen.done));
  expect(() => seen.take()).toThrow("lost");
  expect(tasks.close().failures.map(String)).toEqual(["Error: lost"]);
});

test("an interruption of the whole test passes through the task that it hits", () => {
  const reactor = new Reactor();
  const tasks = new Tasks(reactor);
  let interrupted = false;
  const inside = function* (): Op<void> {
    tasks.run(until(() => false));
    yield* sleep(0);
  };
  tasks.start(inside());
  const end = after(20);
  reactor.setInterrupt({
    check: () => (performance.now() >= end ? new InterruptedError("time is up") : undefined),
    deadline: () => end,
  });
  try {
    tasks.run(until(() => false));
  } catch (error) {
    interrupted = error instanceof InterruptedError;
  }
  expect(interrupted).toBe(true);
  expect(tasks.close().failures).toEqual([]);
});

test("of two that fail at the same time one failure is thrown and none is left over", () => {
  const tasks = newTasks();
  let dead = false;
  const call = function* (name: string): Op<void> {
    yield* until(() => dead);
    throw new Error(name);
  };
  const die = function* (): Op<void> {
    yield* sleep(1);
    dead = true;
  };
  expect(() => tasks.run(tasks.all([call("first"), call("second"), die()]))).toThrow("first");
  expect(tasks.close().failures).toEqual([]);
});

test("a cancelled task cleans up to the end even when its clean-up waits", () => {
  const tasks = new Tasks(new Reactor());
  const steps: string[] = [];
  const op = function* (): Op<void> {
    try {
      steps.push("begun");
      yield* until(() => false, after(20_000));
    } finally {
      try {
        yield* until(() => false, after(20_000));
      } finally {
        steps.push("released");
      }
    }
  };
  const task = tasks.start(op());
  tasks.run(until(() => steps.length > 0));
  task.cancel();
  expect(steps).toEqual(["begun", "released"]);
  expect(task.done).toBe(true);
});

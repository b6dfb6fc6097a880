import { expect, test } from "bun:test";
import { InterruptedError } from "../../../src/errors/errors.ts";
import { closeFd, pipePair, readSome, socketPair, writeSome } from "../../../src/sys/libc.ts";
import { after, all, monotonic, type Op, sleep, until } from "../../../src/sys/op.ts";
import { POLLIN, POLLOUT, Reactor, type Watch } from "../../../src/sys/reactor.ts";

const byte = Uint8Array.of(1);

test("what a handler throws ends the waiting operation, which releases what it holds", () => {
  const reactor = new Reactor();
  const [reader, writer] = pipePair();
  const released: string[] = [];
  reactor.watch(reader, POLLIN, () => {
    throw new Error("from a handler");
  });
  const op = function* (): Op<void> {
    try {
      yield* until(() => false, after(20_000));
    } finally {
      released.push("released");
    }
  };
  writeSome(writer, byte);
  expect(() => reactor.run(op())).toThrow("from a handler");
  expect(released).toEqual(["released"]);
  for (const fd of [reader, writer]) closeFd(fd);
});

test("a handler that turns the reactor itself does not change what the others are told", () => {
  const reactor = new Reactor();
  const [first, second] = socketPair();
  const told: [string, number][] = [];
  const watches: Watch[] = [];
  watches.push(
    reactor.watch(first, POLLOUT, (events) => {
      told.push(["first", events]);
      // The inner turn sees other descriptors in other places.
      for (const watch of watches) watch.events = 0;
      watches.push(reactor.watch(second, POLLIN, (events) => told.push(["inner", events])));
      reactor.poll();
    }),
    reactor.watch(second, POLLOUT, (events) => told.push(["second", events])),
  );
  reactor.poll();
  expect(told).toEqual([
    ["first", POLLOUT],
    ["second", POLLOUT],
  ]);
  for (const fd of [first, second]) closeFd(fd);
});

test("what arrives while a handler runs past the deadline of the wait is served before the answer is no", () => {
  const reactor = new Reactor();
  const [a, toA] = pipePair();
  const [b, toB] = pipePair();
  const deadline = after(20);
  let arrived = false;
  reactor.watch(b, POLLIN, () => {
    readSome(b, new Uint8Array(1));
    arrived = true;
  });
  reactor.watch(a, POLLIN, () => {
    readSome(a, new Uint8Array(1));
    writeSome(toB, byte);
    while (monotonic() <= deadline);
  });
  writeSome(toA, byte);
  expect(reactor.run(until(() => arrived, deadline))).toBe(true);
  for (const fd of [a, toA, b, toB]) closeFd(fd);
});

test("a descriptor number that is reused within a turn hears nothing of its predecessor", () => {
  const reactor = new Reactor();
  const [a, toA] = pipePair();
  const [b, toB] = pipePair();
  const heard: string[] = [];
  const fresh: number[] = [];
  let watchB: Watch | undefined;
  reactor.watch(a, POLLIN, () => {
    readSome(a, new Uint8Array(1));
    heard.push("a");
    watchB?.close();
    closeFd(b);
    fresh.push(...pipePair());
    for (const fd of fresh) reactor.watch(fd, POLLIN, () => heard.push("fresh"));
  });
  watchB = reactor.watch(b, POLLIN, () => heard.push("b"));
  writeSome(toA, byte);
  writeSome(toB, byte);
  reactor.poll();
  reactor.poll();
  expect(fresh).toContain(b);
  expect(heard).toEqual(["a"]);
  for (const fd of [a, toA, toB, ...fresh]) closeFd(fd);
});

test("an operation is ended by each interruption, however often its clean-up waits", () => {
  const reactor = new Reactor();
  const steps: string[] = [];
  reactor.setInterrupt({ check: () => new InterruptedError("over"), deadline: () => 0 });
  const op = function* (): Op<void> {
    try {
      yield* sleep(20_000);
    } finally {
      try {
        yield* sleep(20_000);
      } finally {
        steps.push("clean");
      }
    }
  };
  expect(() => reactor.run(op())).toThrow("over");
  expect(steps).toEqual(["clean"]);
});

test("when one of several operations fails the others are cleaned up to the end before the failure is told", () => {
  const reactor = new Reactor();
  const steps: string[] = [];
  const slow = function* (): Op<void> {
    try {
      yield* until(() => false, after(20_000));
    } catch (error) {
      steps.push(error instanceof InterruptedError ? "interrupted" : "failed");
      // A clean-up that waits itself.
      yield* sleep(20_000);
    } finally {
      yield* sleep(20_000);
      steps.push("not reached: the wait is interrupted too");
    }
  };
  const careful = function* (): Op<void> {
    try {
      yield* slow();
    } finally {
      steps.push("released");
    }
  };
  const failing = function* (): Op<void> {
    yield* sleep(1);
    throw new Error("the first failure");
  };
  expect(() => reactor.run(all([careful(), failing()]))).toThrow("the first failure");
  expect(steps).toEqual(["interrupted", "released"]);
});

test("a wait whose deadline is now sees what has arrived, also beside others", () => {
  const reactor = new Reactor();
  const [reader, writer] = pipePair();
  let arrived = false;
  reactor.watch(reader, POLLIN, () => {
    readSome(reader, new Uint8Array(1));
    arrived = true;
  });
  writeSome(writer, byte);
  const look = (): Op<boolean> => until(() => arrived, 0);
  expect(reactor.run(all([look(), look()]))).toEqual([true, true]);
  for (const fd of [reader, writer]) closeFd(fd);
});

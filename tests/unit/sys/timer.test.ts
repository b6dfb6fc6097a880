import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { after, until } from "../../../src/sys/op.ts";
import { Reactor } from "../../../src/sys/reactor.ts";
import { Timer } from "../../../src/sys/timer.ts";

test("timers fire in the order of their moments while the reactor waits for something else", () => {
  const reactor = new Reactor();
  const fired: string[] = [];
  new Timer(reactor, 1_000, () => fired.push("later"));
  new Timer(reactor, 1, () => fired.push("sooner"));
  expect(reactor.run(until(() => fired.length === 2, after(20_000)))).toBe(true);
  expect(fired).toEqual(["sooner", "later"]);
});

test("a cancelled timer neither fires nor keeps its descriptor", () => {
  const reactor = new Reactor();
  const before = readdirSync("/proc/self/fd").length;
  const fired: string[] = [];
  const timer = new Timer(reactor, 1, () => fired.push("cancelled"));
  timer.cancel();
  timer.cancel();
  new Timer(reactor, 5, () => fired.push("kept"));
  reactor.run(until(() => fired.length > 0, after(20_000)));
  expect(fired).toEqual(["kept"]);
  expect(readdirSync("/proc/self/fd").length).toBe(before);
});

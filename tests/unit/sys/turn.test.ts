import { expect, test } from "bun:test";
import { InterruptedError } from "../../../src/errors/errors.ts";
import { all, Begun, type Op, sleep } from "../../../src/sys/op.ts";
import { Reactor } from "../../../src/sys/reactor.ts";
import { Turn } from "../../../src/sys/turn.ts";

function* said(text: string): Op<string> {
  yield* sleep(1);
  return text;
}

test("of many that ask at once one works at a time", () => {
  const turn = new Turn();
  const steps: string[] = [];
  const job = (name: string): Op<void> =>
    turn.take(function* () {
      steps.push(name);
      yield* sleep(1);
      steps.push(`${name} ends`);
    });
  new Reactor().run(all(["a", "b", "c"].map(job)));
  expect(steps).toEqual(["a", "a ends", "b", "b ends", "c", "c ends"]);
});

test("a turn ends with work that fails", () => {
  const turn = new Turn();
  const reactor = new Reactor();
  const failing = turn.take(function* (): Op<void> {
    yield* sleep(0);
    throw new Error("no luck");
  });
  expect(() => reactor.run(failing)).toThrow("no luck");
  expect(reactor.run(turn.take(() => said("done")))).toBe("done");
});

test("a turn ends with work that is interrupted, and who was interrupted in waiting for it takes none", () => {
  const turn = new Turn();
  const order = new InterruptedError("nobody needs it");
  const working = new Begun(turn.take(() => sleep(600_000)));
  const waiting = new Begun(turn.take(() => said("never")));
  expect(waiting.abandon(order)).toBeUndefined();
  expect(waiting.due).toBe(false);
  working.abandon(order);
  expect(new Reactor().run(turn.take(() => said("done")))).toBe("done");
});

import { expect, test } from "bun:test";
import { InterruptedError } from "../../../src/errors/errors.ts";
import { closeFd, pipePair, readSome, writeSome } from "../../../src/sys/libc.ts";
import { after, Begun, NEVER, type Op, sleep, until } from "../../../src/sys/op.ts";
import { POLLIN, Reactor } from "../../../src/sys/reactor.ts";

test("what is tended goes on while something else waits, for time and for descriptors", () => {
  const reactor = new Reactor();
  const [reader, writer] = pipePair();
  let heard = false;
  reactor.watch(reader, POLLIN, () => {
    heard = readSome(reader, new Uint8Array(1)) === 1;
  });
  const steps: string[] = [];
  const begun = new Begun(
    (function* (): Op<string> {
      steps.push("begun");
      yield* sleep(1);
      steps.push("slept");
      writeSome(writer, Uint8Array.of(1));
      yield* until(() => heard);
      steps.push("heard");
      return "done";
    })(),
  );
  expect(steps).toEqual(["begun"]);
  const untend = reactor.tend(begun);
  reactor.run(until(() => steps.length === 3, after(20_000)));
  untend();
  expect(reactor.run(begun.finish())).toBe("done");
  for (const fd of [reader, writer]) closeFd(fd);
});

test("who waits for the end of it drives it, also when nobody tends it", () => {
  const begun = new Begun(
    (function* (): Op<number> {
      yield* sleep(1);
      yield* sleep(1);
      return 5;
    })(),
  );
  expect(new Reactor().run(begun.finish())).toBe(5);
});

test("its failure is told to whoever waits for its end, not to those that wait meanwhile", () => {
  const reactor = new Reactor();
  const begun = new Begun(
    (function* (): Op<void> {
      yield* sleep(0);
      throw new Error("no luck");
    })(),
  );
  reactor.tend(begun);
  reactor.run(sleep(5));
  expect(() => reactor.run(begun.finish())).toThrow("no luck");
});

test("one that is abandoned cleans up at once, and never goes on", () => {
  const reactor = new Reactor();
  const order = new InterruptedError("nobody needs it");
  const seen: unknown[] = [];
  const begun = new Begun(
    (function* (): Op<void> {
      try {
        yield* until(() => false, NEVER);
      } catch (error) {
        seen.push(error);
        throw error;
      }
    })(),
  );
  reactor.tend(begun);
  expect(begun.abandon(order)).toBeUndefined();
  reactor.run(sleep(1));
  expect(seen).toEqual([order]);
  const done = new Begun(
    (function* (): Op<string> {
      yield* until(() => true);
      return "there already";
    })(),
  );
  expect(done.abandon(order)).toBe("there already");
});

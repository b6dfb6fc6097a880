import { describe, expect, test } from "bun:test";
import { type Reader, Reading } from "../../../src/api/reading.ts";
import { Tasks } from "../../../src/lua/tasks.ts";
import { after, type Op, sleep } from "../../../src/sys/op.ts";
import { Reactor } from "../../../src/sys/reactor.ts";
import { FakeStream } from "./guest.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (data: Uint8Array | undefined): string => new TextDecoder().decode(data);

const opened = () => {
  const stream = new FakeStream();
  const reader: Reader & { closed: boolean } = { label: "it", noun: "stream", closed: false };
  const reading = new Reading(stream, reader);
  const until = function* (pattern: string): Op<string> {
    return text(yield* reading.readUntil(bytes(pattern), 5_000));
  };
  const next = function* (): Op<string> {
    return text(yield* reading.next("next", after(5_000)));
  };
  const say = function* (...texts: string[]): Op<string> {
    for (const each of texts) {
      yield* sleep(1);
      stream.say(each);
    }
    return "";
  };
  const together = (...ops: Op<string>[]): string[] => {
    const tasks = new Tasks(new Reactor());
    return tasks.run(tasks.all(ops));
  };
  return { stream, reader, reading, until, next, say, together };
};

describe("tasks that read one stream", () => {
  test.each([
    [["aa1bb2cc"], "1", "2", ["aa1", "bb2"]],
    [["x", "y1", "z2"], "1", "2", ["xy1", "z2"]],
    [["aa1b", "b2"], "2", "1", ["bb2", "aa1"]],
  ])(
    "%p holds %p and %p: each search finds its own, whoever took the bytes out",
    (said, first, second, found) => {
      const { until, say, together } = opened();
      const [a, b] = together(until(first), until(second), say(...said));
      expect([a, b]).toEqual(found as string[]);
    },
  );

  test("what a search has taken in and not matched is there for who waits for the next chunk", () => {
    const { until, next, say, together } = opened();
    const [found, chunk] = together(until("!"), next(), say("one", "two!"));
    expect([found, chunk]).toEqual(["two!", "one"]);
  });

  test("a close ends each of them: a search with an error, the others with nothing", () => {
    const { reader, next, until, together } = opened();
    const close = function* (): Op<string> {
      yield* sleep(1);
      reader.closed = true;
      return "";
    };
    expect(together(next(), close())).toEqual(["", ""]);
    reader.closed = false;
    expect(() => together(until("x"), close())).toThrow("stream closed");
  });
});

test("a drain keeps what came before its source failed; the next call tells of the failure", () => {
  const { stream, reader, reading, say, together } = opened();
  Object.assign(reader, {
    failed(call: string, failure: Error): Op<void> {
      throw new Error(`${call}: ${failure.message}`);
    },
  });
  const drain = function* (): Op<string> {
    return (yield* reading.drain(5_000)).map(text).join("|");
  };
  const die = function* (): Op<string> {
    yield* say("one", "two");
    stream.failure = new Error("the machine died");
    stream.ended = true;
    return "";
  };
  // In this order: on a host that has stood still both are due, and a drain that goes first has heard nothing for long.
  expect(together(die(), drain())[1]).toBe("one|two");
  expect(() => together(drain())).toThrow("drain: the machine died");
});

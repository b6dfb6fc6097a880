import { expect, test } from "bun:test";
import { HostError } from "../../../src/errors/errors.ts";
import { encodeFrame, FrameReader, unpack } from "../../../src/events/frame.ts";
import { Link } from "../../../src/runner/link.ts";
import type { Down, Up } from "../../../src/runner/protocol.ts";
import { DispatcherServices } from "../../../src/runner/services.ts";
import { closeFd, readSome, setNonBlocking, socketPair, writeSome } from "../../../src/sys/libc.ts";
import { after, sleep, until } from "../../../src/sys/op.ts";
import { spawn } from "../../../src/sys/process.ts";
import { Reactor } from "../../../src/sys/reactor.ts";

const env = { PATH: "/usr/bin:/bin" };

class Gone extends Error {}

/** A link, and the dispatcher's end of its socket. */
const pair = () => {
  const [ours, theirs] = socketPair();
  const reactor = new Reactor();
  const link = new Link(ours, () => {
    throw new Gone();
  });
  link.attach(reactor);
  const reader = new FrameReader();
  return {
    reactor,
    link,
    fd: ours,
    theirs,
    say: (message: Down) => void writeSome(theirs, encodeFrame(message)),
    /** What has arrived at the dispatcher. */
    heard: (): Up[] => {
      const messages: Up[] = [];
      const buffer = new Uint8Array(65536);
      setNonBlocking(theirs);
      const n = readSome(theirs, buffer);
      reader.push(buffer.subarray(0, Math.max(0, n)), (body) => messages.push(unpack(body) as Up));
      return messages;
    },
    hangUp: () => closeFd(theirs),
  };
};

test("a draw is asked for, granted, and given back once", () => {
  const { reactor, link, say, heard } = pair();
  const draw = new DispatcherServices(link).draw("a", 2 ** 30, 2);
  const first = draw.next();
  expect(first.done).toBe(false);
  expect(heard()).toEqual([
    { type: "request", id: 1, request: { what: "draw", vm: "a", memoryBytes: 2 ** 30, cpus: 2 } },
  ]);
  say({ type: "answer", id: 1, value: { grant: 7 } });
  reactor.turn(after(5000));
  const step = draw.next(true);
  if (step.done !== true) throw new Error("the draw still waits");
  step.value.release();
  step.value.release();
  expect(heard()).toEqual([{ type: "request", id: 2, request: { what: "release", grant: 7 } }]);
});

test("a grant that comes after its asker has given up goes back", () => {
  const { reactor, link, say, heard } = pair();
  const draw = new DispatcherServices(link).draw("a", 1, 1);
  draw.next();
  heard();
  expect(() => draw.throw(new Error("interrupted"))).toThrow("interrupted");
  say({ type: "answer", id: 1, value: { grant: 9 } });
  reactor.turn(after(5000));
  expect(heard()).toEqual([{ type: "request", id: 2, request: { what: "release", grant: 9 } }]);
});

test("a grant that has come in the turn in which its asker gives up goes back", () => {
  const { reactor, link, say, heard } = pair();
  const draw = new DispatcherServices(link).draw("a", 1, 1);
  draw.next();
  heard();
  say({ type: "answer", id: 1, value: { grant: 9 } });
  reactor.turn(after(5000));
  expect(() => draw.throw(new Error("interrupted"))).toThrow("interrupted");
  expect(heard()).toEqual([{ type: "request", id: 2, request: { what: "release", grant: 9 } }]);
});

test("a refusal is an error with its hint", () => {
  const { reactor, link, say } = pair();
  say({ type: "refusal", id: 1, message: "too large", hint: "ask for less" });
  const boot = new DispatcherServices(link).boot({ profile: "default", files: [], disks: false });
  try {
    reactor.run(boot);
    throw new Error("expected a refusal");
  } catch (error) {
    expect(error).toBeInstanceOf(HostError);
    expect((error as HostError).message).toBe("too large");
    expect((error as HostError).hint).toBe("ask for less");
  }
});

test("a job and an order to stop arrive; the order is forgotten with the next job", () => {
  const { reactor, link, say } = pair();
  const job = { file: "/t/a.test.lua" } as never;
  say({ type: "run", job });
  expect(reactor.run(link.nextJob())).toEqual(job);
  say({ type: "stop", reason: "enough" });
  reactor.run(until(() => link.stopped !== undefined, after(5000)));
  expect(link.stopped).toBe("enough");
  say({ type: "run", job });
  reactor.run(link.nextJob());
  expect(link.stopped).toBeUndefined();
});

test("a frame that a full socket does not take at once arrives whole", () => {
  const { link, fd, theirs } = pair();
  setNonBlocking(fd);
  // The other end reads in another process, because the writer here has to wait for it.
  const children = new Reactor();
  const script = ["-c", "head -c 4000000 <&3 | wc -c"];
  const count = spawn(
    { program: "/bin/sh", args: script, env, descriptors: [{ from: theirs, to: 3 }] },
    children,
  );
  link.send({ type: "finished", status: "failed", clean: true, error: "x".repeat(4_000_000) });
  children.run(count.wait(after(20_000)));
  expect(count.output().trim()).toBe("4000000");
  count.close();
});

test("the end of the dispatcher ends the wait, and writing to it too", () => {
  const { reactor, link, hangUp } = pair();
  hangUp();
  expect(() => reactor.run(sleep(5000))).toThrow(Gone);
  expect(() => link.send({ type: "idle" })).toThrow(Gone);
});

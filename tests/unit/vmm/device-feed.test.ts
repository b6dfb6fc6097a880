import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, openSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { closeFd, readSome, setNonBlocking, socketPair } from "../../../src/sys/libc.ts";
import { after, until } from "../../../src/sys/op.ts";
import { Reactor } from "../../../src/sys/reactor.ts";
import { DeviceFeed } from "../../../src/vmm/device-feed.ts";

const directory = mkdtempSync(join(tmpdir(), "provium-feed-"));
afterAll(() => rmSync(directory, { recursive: true }));
const path = join(directory, "devices");
const LONG = 20_000;
const openDescriptors = (): number => readdirSync("/proc/self/fd").length;

const feeding = (content: Uint8Array): { feed: DeviceFeed; theirs: number; reactor: Reactor } => {
  writeFileSync(path, content);
  const [ours, theirs] = socketPair();
  setNonBlocking(theirs);
  const reactor = new Reactor();
  return { feed: new DeviceFeed(openSync(path, "r"), ours, reactor), theirs, reactor };
};

test("a file that no socket holds arrives whole, and then it ends", () => {
  const content = Uint8Array.from({ length: 3_000_001 }, (_, i) => i % 251);
  const { theirs, reactor } = feeding(content);
  const got: Uint8Array[] = [];
  const chunk = new Uint8Array(10_000);
  let ended = false;
  const took = (): boolean => {
    const n = readSome(theirs, chunk);
    if (n > 0) got.push(chunk.slice(0, n));
    ended = n === 0;
    return ended;
  };
  reactor.run(
    (function* () {
      while (!ended) yield* until(took, after(10));
    })(),
  );
  expect(Buffer.concat(got).equals(content)).toBe(true);
  closeFd(theirs);
});

test("a reader that goes away ends it, and nothing stays open", () => {
  const before = openDescriptors();
  const { feed, theirs, reactor } = feeding(new Uint8Array(3_000_000));
  closeFd(theirs);
  reactor.run(until(() => openDescriptors() === before, after(LONG)));
  feed.close();
  expect(openDescriptors()).toBe(before);
});

import { expect, test } from "bun:test";
import { closeFd, readSome, setNonBlocking, socketPair, writeSome } from "../../../src/sys/libc.ts";
import { after, until } from "../../../src/sys/op.ts";
import { Reactor } from "../../../src/sys/reactor.ts";
import { EntropyServer, SeededBytes } from "../../../src/vmm/entropy.ts";

test("a seed gives one stream, however it is cut", () => {
  const whole = new SeededBytes(42n).take(1000);
  const parts = new SeededBytes(42n);
  const cut = [1, 31, 32, 33, 900, 3].map((count) => parts.take(count));
  expect(Buffer.concat(cut).equals(Buffer.from(whole))).toBe(true);
});

test("different seeds give different streams, and all 64 bits count", () => {
  const first = (seed: bigint): string => Buffer.from(new SeededBytes(seed).take(16)).toString("hex");
  expect(new Set([first(0n), first(1n), first(1n << 63n), first(1n << 32n)]).size).toBe(4);
});

test("each request is answered with as many bytes as it asks for", () => {
  const reactor = new Reactor();
  const [ours, theirs] = socketPair();
  setNonBlocking(theirs);
  const server = new EntropyServer(ours, 42n, reactor);
  writeSome(theirs, Uint8Array.of(2, 64, 2));
  writeSome(theirs, Uint8Array.of(255, 2, 1));
  const got: number[] = [];
  reactor.run(
    until(() => {
      const buffer = new Uint8Array(1024);
      const n = readSome(theirs, buffer);
      if (n > 0) got.push(...buffer.subarray(0, n));
      return got.length >= 320;
    }, after(20_000)),
  );
  expect(Buffer.from(got).equals(Buffer.from(new SeededBytes(42n).take(320)))).toBe(true);
  server.close();
  server.close();
  closeFd(theirs);
});

import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { HostError } from "../../../src/errors/errors.ts";
import { closeFd, pipePair, readSome, socketPair } from "../../../src/sys/libc.ts";
import { after } from "../../../src/sys/op.ts";
import { exitText, SIGTERM, spawn } from "../../../src/sys/process.ts";
import { Reactor } from "../../../src/sys/reactor.ts";

const env = { PATH: "/usr/bin:/bin" };
const LONG = 20_000;
const openDescriptors = (): number => readdirSync("/proc/self/fd").length;

test("a child's exit status and output arrive through the reactor", () => {
  const reactor = new Reactor();
  const child = spawn({ program: "/bin/sh", args: ["-c", "echo out; echo err >&2; exit 7"], env }, reactor);
  expect(reactor.run(child.wait(after(LONG)))).toEqual({ how: "exited", code: 7 });
  expect(child.output()).toBe("out\nerr\n");
  child.close();
});

test("a signalled child says which signal ended it", () => {
  const reactor = new Reactor();
  const child = spawn({ program: "/bin/sleep", args: ["1000"], env }, reactor);
  child.signal(SIGTERM);
  const exit = reactor.run(child.wait(after(LONG)));
  expect(exit).toEqual({ how: "signalled", code: 15 });
  expect(exitText(exit!)).toBe("signal 15");
});

test("close kills, reaps, tells the listener and may be called twice", () => {
  const reactor = new Reactor();
  const child = spawn({ program: "/bin/sleep", args: ["1000"], env }, reactor);
  const heard: unknown[] = [];
  child.onExit((exit) => heard.push(exit));
  child.close();
  child.close();
  expect(heard).toEqual([{ how: "signalled", code: 9 }]);
  expect(() => process.kill(child.pid, 0)).toThrow();
});

test("a wait that runs out returns nothing and leaves the child running", () => {
  const reactor = new Reactor();
  const child = spawn({ program: "/bin/sleep", args: ["1000"], env }, reactor);
  expect(reactor.run(child.wait(after(1)))).toBeUndefined();
  expect(child.exit).toBeUndefined();
  child.close();
});

test("descriptors that swap numbers reach the child unmixed", () => {
  const reactor = new Reactor();
  const [readA, writeA] = pipePair();
  const [readB, writeB] = pipePair();
  // Sources that are themselves targets: each write end takes the other's number.
  const child = spawn(
    {
      program: "/bin/sh",
      args: ["-c", `echo one >/proc/self/fd/${writeB}; echo two >/proc/self/fd/${writeA}`],
      env,
      descriptors: [
        { from: writeA, to: writeB },
        { from: writeB, to: writeA },
      ],
    },
    reactor,
  );
  expect(reactor.run(child.wait(after(LONG)))).toEqual({ how: "exited", code: 0 });
  const text = (fd: number): string => {
    const buffer = new Uint8Array(64);
    return new TextDecoder().decode(buffer.subarray(0, readSome(fd, buffer)));
  };
  expect([text(readA), text(readB)]).toEqual(["one\n", "two\n"]);
  for (const fd of [readA, writeA, readB, writeB]) closeFd(fd);
});

test("a child gets no descriptor that was not named", () => {
  const reactor = new Reactor();
  const pair = socketPair();
  const child = spawn({ program: "/bin/ls", args: ["/proc/self/fd"], env }, reactor);
  reactor.run(child.wait(after(LONG)));
  // 3 is the directory that ls itself has open.
  expect(child.output().trim().split("\n")).toEqual(["0", "1", "2", "3"]);
  pair.forEach(closeFd);
});

test("standard input is empty and the signal mask is clear", () => {
  const reactor = new Reactor();
  const child = spawn(
    { program: "/bin/sh", args: ["-c", "cat; grep -E 'SigBlk|SigIgn' /proc/self/status"], env },
    reactor,
  );
  reactor.run(child.wait(after(LONG)));
  expect(child.output()).toBe("SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
});

test("only the last 8 KiB of a talkative child are kept", () => {
  const reactor = new Reactor();
  const child = spawn(
    { program: "/bin/sh", args: ["-c", "head -c 300000 /dev/zero | tr '\\0' x; echo end"], env },
    reactor,
  );
  expect(reactor.run(child.wait(after(LONG)))).toEqual({ how: "exited", code: 0 });
  expect(child.output().length).toBe(8192);
  expect(child.output().endsWith("xend\n")).toBe(true);
});

test("a program that does not exist is a host error that names it", () => {
  expect(() => spawn({ program: "/nonexistent/qemu", args: [], env }, new Reactor())).toThrow(HostError);
  expect(() => spawn({ program: "/nonexistent/qemu", args: [], env }, new Reactor())).toThrow(
    "cannot start /nonexistent/qemu: No such file or directory (ENOENT)",
  );
});

test("the environment is exactly the one given, without undefined entries", () => {
  const reactor = new Reactor();
  const child = spawn({ program: "/usr/bin/env", args: [], env: { A: "1 2", B: undefined } }, reactor);
  reactor.run(child.wait(after(LONG)));
  expect(child.output()).toBe("A=1 2\n");
});

test("fifty children leave no descriptor behind", () => {
  const reactor = new Reactor();
  const before = openDescriptors();
  for (let i = 0; i < 50; i++) {
    const child = spawn({ program: "/bin/true", args: [], env }, reactor);
    if (i % 2 === 0) reactor.run(child.wait(after(LONG)));
    child.close();
  }
  expect(openDescriptors()).toBe(before);
});

import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { StreamChannel } from "../../../src/channel/stream.ts";
import { ApiError } from "../../../src/errors/errors.ts";
import { rehearse, resumeGuest } from "../../../src/guest/parked.ts";
import { openGuest } from "../../../src/guest/session.ts";
import type { Command, Guest, GuestProcess } from "../../../src/lab/ports.ts";
import {
  AF_UNIX,
  closeFd,
  libc,
  readSome,
  SOCK_CLOEXEC,
  SOCK_STREAM,
  socketPair,
} from "../../../src/sys/libc.ts";
import { after, monotonic, NEVER, type Op, sleep, until } from "../../../src/sys/op.ts";
import { type Child, spawn } from "../../../src/sys/process.ts";
import { Reactor } from "../../../src/sys/reactor.ts";
import { at } from "../lab/fakes.ts";
import { bytes, SOON, text } from "./fake-agent.ts";
import { AGENT } from "./local-guest.ts";

const GETPID = { nr: 39, args: [], bufs: [], ptrs: [], nested: [] };

let directory: string;
let reactor: Reactor;
let child: Child;
let channel: StreamChannel;
let guest: Guest;

/** A connection as over vsock: the agent greets. */
const connect = (): StreamChannel => {
  const path = bytes(`${join(directory, "agent")}\0`);
  const address = new Uint8Array(110);
  new DataView(address.buffer).setUint16(0, AF_UNIX, true);
  address.set(path, 2);
  const fd = libc.socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const deadline = after(SOON);
  while (libc.connect(fd, address, 2 + path.byteLength) !== 0) {
    if (monotonic() > deadline) {
      closeFd(fd);
      throw new Error("the agent does not listen");
    }
    reactor.run(sleep(2));
  }
  return new StreamChannel(reactor, fd, { transport: "vsock" });
};

/** What a restored machine is reached by, one after another, the last one again and again. */
const reached = (...ways: (() => StreamChannel)[]): (() => Op<StreamChannel>) => {
  const left = ways.slice(0, -1);
  const last = ways.at(-1) as () => StreamChannel;
  return () => at(left.shift() ?? last);
};

/** A connection that nobody at the other end knows of. */
const forgotten = (): { readonly channel: StreamChannel; readonly peer: number } => {
  const [ours, peer] = socketPair();
  return { channel: new StreamChannel(reactor, ours, { transport: "vsock" }), peer };
};

const run = <T>(op: Op<T>): T => reactor.run(op);

const sh = (script: string): Command => ({
  argv: [bytes("/bin/sh"), bytes("-c"), bytes(script)],
  env: [],
  envClear: false,
  stdinOpen: true,
  timeoutMs: 0,
});

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "provium-unit-"));
  reactor = new Reactor();
  const args = ["--listen-unix", join(directory, "agent")];
  child = spawn({ program: AGENT, args, env: process.env }, reactor);
  channel = connect();
  guest = run(openGuest(channel, after(SOON)));
});

afterEach(() => {
  guest.close();
  child.close();
  rmSync(directory, { recursive: true, force: true });
});

/** Waits until the command has said this much, and maybe more. */
const said = (process: GuestProcess, words: string): void => {
  const heard = (): string => text(process.collected(1));
  if (!run(until(() => heard().startsWith(words), after(SOON)))) throw new Error(`it said ${heard()}`);
};

test("a parked session is silent, and everything comes when it goes on", () => {
  const echo = run(guest.main.start(sh("read x; echo $x; read x; echo $x")));
  const parked = run(guest.park(after(SOON)));
  expect(parked.mark.lastProcess).toBe(1);
  const write = echo.stdinWrite(bytes("one\n"));
  write.next();
  run(sleep(30));
  expect(text(echo.collected(1))).toBe("");
  guest.unpark();
  said(echo, "one\n");
  run(echo.stdinWrite(bytes("two\n")));
  expect(text(run(echo.wait(after(SOON)))!.stdout)).toBe("one\ntwo\n");
});

test("a session outlives its connection when it is parked: commands, workers and what they say", () => {
  const echo = run(guest.main.start(sh("echo before; read x; echo $x; exit 3")));
  said(echo, "before\n");
  const worker = run(guest.main.spawnWorker({ thread: false }));
  const pause = run(guest.main.syscallAsync({ ...GETPID, nr: 34 }));
  const { identity } = guest;
  const parked = run(guest.park(after(SOON)));
  channel.close();
  guest.close(new Error("the machine was saved"));
  expect(worker.gone).toBeDefined();

  guest = run(resumeGuest(reached(connect), parked.mark, identity, after(SOON), parked.revive));
  expect(worker.gone).toBeUndefined();
  expect(run(worker.syscall(GETPID)).ret).toBe(worker.pid);
  expect(pause.done).toBe(false);
  run(pause.cancel());
  run(echo.stdinWrite(bytes("after\n")));
  const result = run(echo.wait(after(SOON)))!;
  expect([text(result.stdout), result.code]).toEqual(["before\nafter\n", 3]);
  // Numbers go on where they stood.
  expect(run(guest.main.start(sh("true"))).handle).toBe(parked.mark.lastProcess + 1);
});

test("a host that knows nothing of them lets the commands of an earlier one run and drops what they say", () => {
  const count = sh("i=0; while [ $i -lt 40 ]; do head -c 65536 /dev/zero; i=$((i+1)); done; echo done >&2");
  const loud = run(guest.main.start(count));
  const { identity } = guest;
  const parked = run(guest.park(after(SOON)));
  channel.close();
  guest.close();
  guest = run(resumeGuest(reached(connect), parked.mark, identity, after(SOON)));
  const deadline = after(SOON);
  // More than the agent has credit for: it ends because somebody takes it.
  while (existsSync(`/proc/${loud.pid}`) && monotonic() < deadline) run(guest.echo(bytes("x")));
  expect(existsSync(`/proc/${loud.pid}`)).toBe(false);
});

test("a connection that the guest cuts, or forgets without a word, is followed by another", () => {
  const { identity } = guest;
  const parked = run(guest.park(after(SOON)));
  channel.close();
  guest.close();
  const cut = forgotten();
  closeFd(cut.peer);
  const silent = forgotten();
  const ways = reached(
    () => silent.channel,
    () => cut.channel,
    connect,
  );
  guest = run(resumeGuest(ways, parked.mark, identity, after(SOON)));
  expect(text(run(guest.echo(bytes("on"))))).toBe("on");
  // The host has given it up.
  expect(readSome(silent.peer, new Uint8Array(1))).toBe(0);
  closeFd(silent.peer);
});

test("a parked session whose old connection has still to break is asked for again", () => {
  const { identity } = guest;
  const parked = run(guest.park(after(SOON)));
  const ways = reached(connect, () => {
    channel.close();
    return connect();
  });
  const again = run(resumeGuest(ways, parked.mark, identity, after(SOON)));
  guest.close();
  guest = again;
  expect(text(run(guest.echo(bytes("on"))))).toBe("on");
});

test("what was not parked cannot be gone on with, and a session of another name neither", () => {
  const { identity } = guest;
  const mark = { token: 1, lastRequest: 5, lastProcess: 0, lastWorker: 1 };
  expect(() => run(resumeGuest(reached(connect), mark, identity, after(SOON)))).toThrow(
    "no parked session has token 1",
  );
  expect(() => run(resumeGuest(reached(connect), mark, { ...identity, protocol: 99 }, after(SOON)))).toThrow(
    "the agent in the snapshot speaks protocol 99",
  );
});

test("a parked session can rehearse, says nothing meanwhile, and goes on as if nothing had been", () => {
  const echo = run(guest.main.start(sh("read x; echo $x; sleep 0.1; echo later; read x; echo $x")));
  run(echo.stdinWrite(bytes("before\n")));
  said(echo, "before\n");
  const { identity } = guest;
  const parked = run(guest.park(after(SOON)));
  run(rehearse(channel, parked.mark, after(SOON)));
  guest.close(new Error("the machine was stopped"));
  let again = channel;
  guest = run(
    resumeGuest(
      reached(() => (again = connect())),
      parked.mark,
      identity,
      after(SOON),
      parked.revive,
    ),
  );
  run(echo.stdinWrite(bytes("after\n")));
  expect(text(run(echo.wait(after(SOON)))!.stdout)).toBe("before\nlater\nafter\n");
  expect(() => run(rehearse(again, parked.mark, after(SOON)))).toThrow("the session is not parked");
});

test("a command whose input is still on its way keeps the session from being parked", () => {
  const slow = run(guest.main.start({ ...sh("sleep 1000"), stdin: new Uint8Array(2 * 1024 * 1024) }));
  expect(() => run(guest.park(after(SOON)))).toThrow(ApiError);
  run(slow.close(0));
  run(guest.park(after(SOON)));
  guest.unpark();
  expect(text(run(guest.echo(bytes("on"))))).toBe("on");
  expect(run(slow.wait(NEVER))?.how).toBe("signalled");
});

/** Speaks the runner's side of the protocol and does what the name of the file says. */

import { appendFileSync, existsSync, mkdirSync, readSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { encodeFrame, FrameReader, unpack } from "../../../src/events/frame.ts";
import { eventTime } from "../../../src/events/stream.ts";
import type { EventKind, EventPayloads, ProviumEvent } from "../../../src/events/types.ts";
import type { Down, Job, Up } from "../../../src/runner/protocol.ts";

const SOCKET = 3;
/** Of the runners of a host on which only one can start: its mark, and a letter for each of the others. */
const ONLY = join(process.env.FAKE_RUNNER_DIRECTORY ?? "", "only");
const REFUSED = join(process.env.FAKE_RUNNER_DIRECTORY ?? "", "refused");
const reader = new FrameReader();
const inbox: Down[] = [];

const send = (message: Up): void => {
  writeSync(SOCKET, encodeFrame(message));
};

const emit = <K extends EventKind>(kind: K, payload: EventPayloads[K]): void =>
  send({ type: "event", event: { ts: eventTime(), kind, payload } as ProviumEvent });

const receive = (): Down => {
  const chunk = new Uint8Array(65536);
  while (inbox.length === 0) {
    const n = readSync(SOCKET, chunk);
    if (n === 0) process.exit(0);
    reader.push(chunk.subarray(0, n), (body) => inbox.push(unpack(body) as Down));
  }
  return inbox.shift() as Down;
};

const spawned = (job: Job): void =>
  emit("vm_spawned", {
    file: job.path,
    vm_name: "a",
    profile: "default",
    memory_bytes: 1,
    cid: 0,
    transport: "serial",
    boot_ns: 1,
  });

const run = (job: Job): unknown => {
  const { path } = job;
  const finish = (status: "passed" | "failed", clean = true, error?: string): void => {
    send({ type: "finished", status, clean, error });
    if (!clean) for (;;) receive();
  };
  const test = (name: string): void => {
    emit("test_started", { path, name, meta: {} });
    emit("test_passed", { path, name, duration_ns: 1, meta: {}, log: [`pid ${process.pid}`] });
  };
  const draw = (vm: string, memoryBytes: number): Down => {
    send({ type: "request", id: 1, request: { what: "draw", vm, memoryBytes, cpus: 1 } });
    return receive();
  };

  switch (path.replace(/\d+$/, "")) {
    case "pass":
      test("one");
      return finish("passed");
    case "fail":
      emit("test_started", { path, name: "one", meta: {} });
      emit("test_failed", {
        path,
        name: "one",
        duration_ns: 1,
        reason: "no",
        detail: {},
        console_excerpt: "",
        meta: {},
        log: [],
      });
      return finish("failed");
    case "dirty":
      test("one");
      return finish("passed", false);
    case "crash":
      spawned(job);
      emit("test_started", { path, name: "one", meta: { tags: "x" } });
      console.error("something is rotten");
      process.kill(process.pid, "SIGKILL");
      return receive();
    case "unheard":
      // The serial number of the file's directory tells the first runner from the next.
      if (!job.directory.endsWith("file-1")) {
        test("one");
        return finish("passed");
      }
      process.kill(process.pid, "SIGKILL");
      return receive();
    case "mute":
      process.kill(process.pid, "SIGKILL");
      return receive();
    case "overdue":
      emit("test_started", { path, name: "one", meta: {} });
      process.kill(process.pid, "SIGALRM");
      return receive();
    case "torn":
      writeSync(SOCKET, encodeFrame({ type: "event", event: { kind: "output" } } as never).subarray(0, 9));
      process.kill(process.pid, "SIGKILL");
      return receive();
    case "hoarder":
      draw("big", 900 * 2 ** 20);
      process.kill(process.pid, "SIGKILL");
      return receive();
    case "impatient":
      for (const id of [1, 2])
        send({
          type: "request",
          id,
          request: { what: "draw", vm: "big", memoryBytes: 900 * 2 ** 20, cpus: 1 },
        });
      process.kill(process.pid, "SIGKILL");
      return receive();
    case "claimer":
      return finish(draw("big", 900 * 2 ** 20).type === "answer" ? "passed" : "failed");
    case "states":
      send({ type: "request", id: 1, request: { what: "claim", memoryBytes: 900 * 2 ** 20, cpus: 1 } });
      return finish(receive().type === "answer" ? "passed" : "failed");
    case "moody": {
      // The serial number of the file's directory tells the first attempt from the others.
      return finish(job.directory.endsWith("file-1") ? "failed" : "passed");
    }
    case "slow":
      emit("test_started", { path, name: "one", meta: {} });
      Bun.sleepSync(400);
      return finish("passed");
    case "patient":
      // And so long that who starts runners has heard of the last one, too.
      while (!existsSync(REFUSED) || statSync(REFUSED).size < 3) Bun.sleepSync(5);
      Bun.sleepSync(300);
      return finish("passed");
    case "deaf":
      spawned(job);
      emit("test_started", { path, name: "one", meta: {} });
      for (;;) receive();
    case "polite": {
      emit("test_started", { path, name: "one", meta: {} });
      const message = receive();
      return finish("failed", true, message.type === "stop" ? message.reason : "no stop");
    }
    case "garbage":
      writeSync(SOCKET, Uint8Array.of(0xff, 0xff, 0xff, 0xff));
      for (;;) receive();
    case "hungry": {
      const kept = new Uint8Array(400 * 2 ** 20).fill(1);
      receive();
      return finish("failed", true, String(kept.length));
    }
    case "greedy": {
      const answer = draw("big", Number.MAX_SAFE_INTEGER);
      return finish("failed", true, answer.type === "refusal" ? answer.message : "granted");
    }
    case "boot": {
      send({
        type: "request",
        id: 7,
        request: { what: "boot", boot: { profile: "default", files: [], disks: false } },
      });
      const answer = receive();
      return finish("passed", true, JSON.stringify(answer));
    }
    default:
      return finish("failed", true, `no behaviour for ${path}`);
  }
};

if (process.env.FAKE_RUNNER === "broken") process.exit(7);
if (process.env.FAKE_RUNNER === "single") {
  try {
    mkdirSync(ONLY);
  } catch {
    appendFileSync(REFUSED, "x");
    process.exit(7);
  }
}
send({ type: "idle" });
for (;;) {
  const message = receive();
  if (message.type !== "run") continue;
  run(message.job);
  send({ type: "idle" });
}

/**
 * Speaks a runner's side of the protocol and "builds" what the text of the file says, one order a line:
 *
 *     name TEXT     the content of the snapshot          use NAME     asks for another fixture first
 *     wait FILE     goes on when the file exists          draw MIB     draws memory from the pool
 *     fail TEXT     ends without a snapshot               die [ONCE]   is killed (once: unless the file exists)
 *     print TEXT    says something                        reads FILE   notes a dependency
 *     flood N       says so many empty lines at once
 *     lab           the snapshot is one of a lab          elsewhere    the snapshot lies in another directory
 */

import { existsSync, mkdirSync, readFileSync, readSync, writeFileSync, writeSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { encodeFrame, FrameReader, unpack } from "../../../src/events/frame.ts";
import { eventTime } from "../../../src/events/stream.ts";
import type { ProviumEvent } from "../../../src/events/types.ts";
import { Recorder } from "../../../src/fixture/recorder.ts";
import type { Down, Job, Request, Up } from "../../../src/runner/protocol.ts";

const SOCKET = 3;
const reader = new FrameReader();
const inbox: Down[] = [];

const send = (message: Up): void => {
  writeSync(SOCKET, encodeFrame(message));
};

const receive = (): Down => {
  const chunk = new Uint8Array(65536);
  while (inbox.length === 0) {
    const n = readSync(SOCKET, chunk);
    if (n === 0) process.exit(0);
    reader.push(chunk.subarray(0, n), (body) => inbox.push(unpack(body) as Down));
  }
  return inbox.shift() as Down;
};

let asked = 0;
const ask = (request: Request): Down => {
  send({ type: "request", id: ++asked, request });
  return receive();
};

const build = (job: Job): Up => {
  const recorder = new Recorder(job.file);
  const say = (text: string): void =>
    send({
      type: "event",
      event: { ts: eventTime(), kind: "output", payload: { path: job.path, text } } as ProviumEvent,
    });
  const failed = (error: string): Up => ({ type: "finished", status: "failed", clean: false, error });
  let content = "";
  let kind: "vm" | "lab" = "vm";
  let snapshot = join(job.staging as string, "snapshot-1");
  for (const line of readFileSync(job.file, "utf8").split("\n")) {
    const [order, ...words] = line.split(" ");
    const rest = words.join(" ");
    switch (order) {
      case "name":
        content += rest;
        break;
      case "lab":
        kind = "lab";
        break;
      case "elsewhere":
        snapshot = `${job.file}.mine`;
        break;
      case "print":
        say(`${rest}\n`);
        break;
      case "flood":
        say("\n".repeat(Number(rest)));
        break;
      case "use": {
        recorder.fixture({ name: rest, rule: "lab" });
        const answer = ask({ what: "fixture", fixture: { name: rest, rule: "lab", kind: "vm" } });
        if (answer.type !== "answer") return failed(answer.type === "refusal" ? answer.message : answer.type);
        const { directory, lease } = answer.value as { directory: string; lease: number };
        content += readFileSync(join(directory, "memory"), "utf8");
        send({ type: "request", id: ++asked, request: { what: "restored", lease } });
        break;
      }
      case "draw":
        ask({ what: "draw", vm: "m", memoryBytes: Number(rest) * 2 ** 20, cpus: 1 });
        break;
      case "reads": {
        const file = resolve(dirname(job.file), rest);
        recorder.reads(file);
        if (existsSync(file)) content += readFileSync(file, "utf8");
        break;
      }
      case "wait":
        while (!existsSync(rest)) Bun.sleepSync(5);
        break;
      case "fail":
        return failed(rest);
      case "die":
        if (rest !== "" && existsSync(rest)) break;
        if (rest !== "") writeFileSync(rest, "");
        process.kill(process.pid, "SIGKILL");
        break;
      case "hang":
        for (;;) receive();
      default:
    }
  }
  mkdirSync(snapshot, { recursive: true });
  writeFileSync(join(snapshot, "memory"), content.padEnd(70_000));
  const { dependencies } = recorder;
  return { type: "finished", status: "passed", clean: true, built: { kind, snapshot, dependencies } };
};

send({ type: "idle" });
for (;;) {
  const message = receive();
  if (message.type === "run") send(build(message.job));
}

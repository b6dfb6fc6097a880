/**
 * The objects of a guest as a test uses them: calls, commands, workers, streams and the console, each next to something
 * that it can be measured by, and what they leave in the memory of agent and runner. In a machine;
 * `RUNS`, `MEGABYTES` and `FLOOD` (MB; an emulated machine says 250 KB a second on its serial port) are other
 * sizes, `VMM=local` takes the agent on this host, without a console.
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { readRecording } from "../../../src/events/recording.ts";
import { quantile } from "../statistics.ts";

const directory = mkdtempSync(join(tmpdir(), "provium-bench-"));
const events = join(directory, "events");

/** Nanoseconds of every call, by "test: operation", and of every test. */
const calls = new Map<string, number[]>();
const tests = new Map<string, number>();

const note = (name: string, nanoseconds: number): void => {
  const known = calls.get(name);
  if (known === undefined) calls.set(name, [nanoseconds]);
  else known.push(nanoseconds);
};

const milliseconds = (name: string, q: number): number => quantile(calls.get(name) ?? [], q) / 1e6;
const seconds = (name: string): number => (tests.get(name) ?? Number.NaN) / 1e9;

const COMMAND = "true: run";
const row = (what: string, name: string): void => {
  const [p50, p99] = [milliseconds(name, 0.5), milliseconds(name, 0.99)];
  const ratio = (p50 / milliseconds(COMMAND, 0.5)).toFixed(2);
  console.log(
    `${what.padEnd(24)} ${p50.toFixed(2).padStart(8)} ms p50 ${p99.toFixed(2).padStart(8)} ms p99   ${ratio} of a command`,
  );
};

try {
  const child = Bun.spawnSync(
    [
      ...[resolve("dist/provium"), join(import.meta.dir, "figures.lua"), "--operations", "--timeout", "0"],
      ...["--save-events", events, "--vmm", process.env.VMM ?? "qemu"],
    ],
    { cwd: directory, stdout: "pipe", stderr: "pipe" },
  );
  let running = "";
  readRecording(events, ({ kind, payload }) => {
    if (kind === "test_started") running = payload.name;
    else if (kind === "op") note(`${running}: ${payload.operation}`, payload.duration_ns);
    else if (kind === "test_passed") tests.set(payload.name, payload.duration_ns);
    else if (kind === "output") process.stdout.write(payload.text);
  });
  if (child.exitCode !== 0) throw new Error(`${child.stdout}${child.stderr}`);
  row('run("true")', COMMAND);
  row("a system call", "syscall: syscall");
  row("a worker, forked", "fork: spawn_worker");
  row("a worker, a thread", "thread: spawn_worker");
  const [apart, together] = [seconds("workers/one after another"), seconds("workers/at once")];
  console.log(
    `64 workers run a command  ${apart.toFixed(2)} s one after another, ${together.toFixed(2)} s at once: ${(together / apart).toFixed(2)}`,
  );
  const [stream, pipe] = [seconds("bytes/through a stream"), seconds("bytes/through a pipe of the guest")];
  console.log(
    `the stream               ${stream.toFixed(1)} s, a pipe within the guest ${pipe.toFixed(1)} s: ${(stream / pipe).toFixed(2)}`,
  );
  if (tests.has("console")) console.log(`the console              ${seconds("console").toFixed(1)} s`);
} finally {
  rmSync(directory, { recursive: true, force: true });
}

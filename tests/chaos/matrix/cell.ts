/** Runs one cell of the table and says how it ended, and what was wrong with that. */

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { readRecording } from "../../../src/events/recording.ts";
import type { ProviumEvent } from "../../../src/events/types.ts";
import { orderProblems } from "../../events/order.ts";
import { find, inject, type Scene, STOP_MS } from "./faults.ts";
import type { Lane } from "./lane.ts";
import { BYSTANDER, DONE, GO, MARK, victim as victimFile } from "./scenario.ts";
import type { Cell, Ending } from "./table.ts";

const EXECUTABLE = resolve(import.meta.dir, "../../../dist/provium");
/** A run that is not over by then hangs. Emulated machines on a busy host are slow; the deadlines of calls are far below. */
const LIMIT_MS = 240_000;
/** By when everything is gone after the end of the run. */
const GONE_MS = 10_000;
const MISSED = "the process was not there when the phase began";

export interface Result {
  readonly ending: Ending | "hang" | "missed";
  readonly problems: readonly string[];
  readonly ms: number;
  /** What the run said. */
  readonly text: string;
}

const until = async (condition: () => boolean, ms: number): Promise<boolean> => {
  const end = performance.now() + ms;
  while (!condition()) {
    if (performance.now() > end) return false;
    await Bun.sleep(10);
  }
  return true;
};

/** Reads a stream as a person would who can go away or become slow. */
class Reader {
  text = "";
  private readonly reader;
  private pause = 0;
  private closed = false;

  constructor(stream: ReadableStream<Uint8Array>) {
    this.reader = stream.getReader();
    void this.read();
  }

  close(): void {
    this.closed = true;
    void this.reader.cancel();
  }

  slow(): void {
    this.pause = 200;
  }

  private async read(): Promise<void> {
    const decoder = new TextDecoder();
    while (!this.closed) {
      const { done, value } = await this.reader.read();
      if (done) return;
      this.text += decoder.decode(value, { stream: true });
      await Bun.sleep(this.pause);
    }
  }
}

/** A disk that can be full: the temporary directory and the cache are a small file system of the run's own. */
const command = (args: readonly string[], smallDisk: boolean): string[] => {
  if (!smallDisk) return [EXECUTABLE, ...args];
  const mount = `mount -t tmpfs -o size=512m tmpfs "$PROVIUM_TMPDIR" && cd "$CHAOS_LANE/project"`;
  const run = `"$0" "$@"; code=$?; ls -A "$PROVIUM_TMPDIR" | grep -v '^fill$' > "$CHAOS_LANE/project/left"; exit $code`;
  return [
    "unshare",
    "-m",
    "--propagation",
    "private",
    "bash",
    "-c",
    `${mount} && ${run}`,
    EXECUTABLE,
    ...args,
  ];
};

interface Ends {
  readonly code: number | null;
  readonly signal: string | null;
  readonly events: readonly ProviumEvent[];
  readonly whole: boolean;
}

const endingOf = ({ code, signal, events, whole }: Ends): Ending => {
  if (signal !== null || !whole || code === null || code > 1) return "run";
  if (code === 0) return "unharmed";
  const failed = events.flatMap((event) => (event.kind === "test_failed" ? [event.payload.name] : []));
  const file = events.find((event) => event.kind === "file_completed" && event.payload.path === "a.test.lua");
  const status = file?.kind === "file_completed" ? file.payload.status : "crashed";
  const after = events.some((event) => event.kind === "test_passed" && event.payload.name === "after");
  return status === "failed" && failed.join() === "main" && after ? "test" : "file";
};

/** What holds for every ending. */
const ruleProblems = (ends: Ends, ending: Ending, text: string): string[] => {
  const problems: string[] = [];
  if (/bug in provium|Segmentation|panic: /i.test(text)) problems.push("it speaks of a bug");
  if (ending === "run") return problems;
  problems.push(...orderProblems(ends.events));
  const passed = ends.events.some((event) => event.kind === "test_passed" && event.payload.name === "b");
  if (!passed) problems.push("the other file was disturbed");
  const reasons = ends.events.flatMap((event) =>
    event.kind === "test_failed" ? [event.payload.reason] : [],
  );
  if (reasons.some((reason) => reason.trim() === "")) problems.push("a failure without a reason");
  return problems;
};

const eventsAt = (path: string): { events: ProviumEvent[]; whole: boolean } => {
  const events: ProviumEvent[] = [];
  try {
    const whole = readRecording(path, (event) => events.push(event));
    return { events, whole: whole && events.at(-1)?.kind === "run_completed" };
  } catch {
    return { events, whole: false };
  }
};

/** The dispatcher below a shell that made its file system. */
const dispatcherBelow = (pid: number): number => {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1").trim().split(" ");
  return Number(children[0]);
};

const leftovers = async (lane: Lane, ending: Ending): Promise<string[]> => {
  let left: string[] = [];
  await until(() => {
    left = lane.processes();
    return left.length === 0;
  }, GONE_MS);
  if (ending === "run" && left.length === 0) {
    // The next run sweeps what a killed one could not.
    const next = Bun.spawn([EXECUTABLE, "b.test.lua", "--vmm", "local"], {
      cwd: lane.project,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      env: lane.environment(undefined),
    });
    const [out, err] = await Promise.all([
      new Response(next.stdout).text(),
      new Response(next.stderr).text(),
    ]);
    if ((await next.exited) !== 0) left.push(`the next run failed: ${out}${err}`);
  }
  const listed = join(lane.project, "left");
  const small = existsSync(listed) ? readFileSync(listed, "utf8").trim() : "";
  return [...left, ...lane.files(), ...(small === "" ? [] : [`temporary ${small}`])];
};

export const runCell = async (cell: Cell, lane: Lane, preload: string): Promise<Result> => {
  const started = performance.now();
  const { victim, fault, phase, stage } = cell;
  const again = fault === "kill" && (stage === "local" || victim === "qemu");
  lane.begin({ "a.test.lua": victimFile(stage, phase, again), "b.test.lua": BYSTANDER });
  const vmm = stage === "local" || stage === "worker" ? "local" : "qemu";
  const args = ["--vmm", vmm, "--save-events", "events", "-v", "--jobs", "2", "--timeout", "180"];
  const smallDisk = fault === "disk full";
  const child = Bun.spawn(command(args, smallDisk), {
    cwd: lane.project,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: lane.environment(fault.startsWith("clock") ? preload : undefined),
  });
  const out = new Reader(child.stdout);
  const err = new Reader(child.stderr);
  const mark = join(lane.project, MARK);
  const ended = (): boolean => child.exitCode !== null || child.signalCode !== null;
  const problems: string[] = [];
  let missed = false;

  if (await until(() => existsSync(mark) || ended(), LIMIT_MS)) {
    try {
      const dispatcher = smallDisk ? dispatcherBelow(child.pid) : child.pid;
      const runner = Number(readFileSync(mark, "utf8"));
      const scene: Scene = { dispatcher, runner, temp: lane.temp, clock: lane.clock, output: out };
      // In the middle of what takes two seconds, and as early as can be where something begins.
      if (phase === "call" || phase === "stream") await Bun.sleep(500);
      let target = find(victim, scene);
      await until(() => {
        target ??= find(victim, scene);
        return target !== undefined || ended();
      }, 30_000);
      const late = (): boolean => ended() || existsSync(join(lane.project, DONE));
      if (target === undefined || late()) missed = true;
      else await inject(fault, victim, target, scene);
    } catch (error) {
      // What ends in the very moment can be missed; anything else is a mistake of ours.
      if (ended() || /ESRCH|ENOENT|pidfd_(open|getfd)/.test(String(error))) missed = true;
      else problems.push(`the fault could not be brought about: ${error}`);
    }
    writeFileSync(join(lane.project, GO), "");
  }
  const over = await until(ended, LIMIT_MS + STOP_MS);
  if (!over) {
    child.kill("SIGKILL");
    problems.push("the run did not end in time");
  }
  await child.exited;
  const text = `${out.text}\n${err.text}`;
  const ends: Ends = {
    code: child.exitCode,
    signal: child.signalCode === null ? null : String(child.signalCode),
    ...eventsAt(join(lane.project, "events")),
  };
  const ending = over ? endingOf(ends) : "run";
  problems.push(
    ...ruleProblems(ends, ending, text),
    ...(await leftovers(lane, ending)).map((what) => `left: ${what}`),
  );
  if (!missed && over && !cell.endings.includes(ending))
    problems.push(`ended as \`${ending}\`, expected ${cell.endings.join(" or ")} (status ${child.exitCode})`);
  // A phase that was over before the process could be found proves nothing about the cell.
  if (missed && problems.length === 0)
    return { ending: "missed", problems: [MISSED], ms: performance.now() - started, text };
  return { ending: over ? ending : "hang", problems, ms: performance.now() - started, text };
};

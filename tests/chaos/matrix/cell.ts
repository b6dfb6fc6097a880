/** Runs one cell of the table and says how it ended, and what was wrong with that. */

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readRecording } from "../../../src/events/recording.ts";
import type { ProviumEvent } from "../../../src/events/types.ts";
import { orderProblems } from "../../events/order.ts";
import { type Scene, STOP_MS } from "./faults.ts";
import { NEVER_CAME } from "./guest-faults.ts";
import { argumentsOf, commandOf, EXECUTABLE } from "./invocation.ts";
import type { Lane } from "./lane.ts";
import { Reader } from "./reader.ts";
import { DONE, filesOf, GO, MARK } from "./scenario.ts";
import { strike } from "./strike.ts";
import type { Cell, Ending } from "./table.ts";
import { until } from "./until.ts";

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
  if (reasons.some((reason) => reason.includes(NEVER_CAME))) problems.push(NEVER_CAME);
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

/** A later run sweeps what a killed one could not, and builds a fixture whose build has failed. What is wrong with it. */
const nextRun = async (cell: Cell, lane: Lane, built: boolean): Promise<string[]> => {
  const builds = cell.phase === "build";
  const args = builds ? ["a.test.lua", ...argumentsOf(cell)] : ["b.test.lua", "--vmm", "local"];
  const next = Bun.spawn([EXECUTABLE, ...args], {
    cwd: lane.project,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: lane.environment(undefined),
  });
  const [out, err] = await Promise.all([new Response(next.stdout).text(), new Response(next.stderr).text()]);
  if ((await next.exited) !== 0) return [`the next run failed: ${out}${err}`];
  const again = builds && eventsAt(join(lane.project, "events")).events.some(isBuilt);
  // A small disk is gone with its run, and the cache on it.
  return again && built && cell.fault !== "disk full" ? ["the next run built the fixture once more"] : [];
};

const isBuilt = ({ kind }: ProviumEvent): boolean => kind === "fixture_build_done";

const leftovers = async (
  cell: Cell,
  lane: Lane,
  ending: Ending,
  events: readonly ProviumEvent[],
): Promise<string[]> => {
  let alive: string[] = [];
  await until(() => {
    alive = lane.alive();
    return alive.length === 0;
  }, GONE_MS);
  const swept = ending === "run" ? [] : lane.files();
  const again = (ending === "run" || cell.phase === "build") && alive.length === 0;
  const next = again ? await nextRun(cell, lane, events.some(isBuilt)) : [];
  const listed = join(lane.project, "left");
  const small = existsSync(listed) ? readFileSync(listed, "utf8").trim() : "";
  const files = new Set([...swept, ...lane.files()]);
  return [...next, ...alive, ...files, ...(small === "" ? [] : [`temporary ${small}`])];
};

/** How often a cell is tried whose phase is over before the fault can come. */
const TRIES = 3;

/** Tries the cell, again where the fault came too late. */
export const runCell = async (cell: Cell, lane: Lane, preload: string): Promise<Result> => {
  for (let turn = 1; ; turn++) {
    const result = await tryCell(cell, lane, preload);
    if (result.ending !== "missed" || turn === TRIES) return result;
  }
};

const tryCell = async (cell: Cell, lane: Lane, preload: string): Promise<Result> => {
  const started = performance.now();
  const { fault, stage } = cell;
  lane.begin(filesOf(cell));
  const child = Bun.spawn(commandOf(cell), {
    cwd: lane.project,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: lane.environment(fault.startsWith("clock") && stage !== "guest" ? preload : undefined),
  });
  const out = new Reader(child.stdout);
  const err = new Reader(child.stderr);
  const mark = join(lane.project, MARK);
  const ended = (): boolean => child.exitCode !== null || child.signalCode !== null;
  const problems: string[] = [];
  let missed = false;

  if (await until(() => existsSync(mark) || ended(), LIMIT_MS)) {
    const over = (): boolean => ended() || existsSync(join(lane.project, DONE));
    try {
      const dispatcher = fault === "disk full" ? dispatcherBelow(child.pid) : child.pid;
      const runner = Number(readFileSync(mark, "utf8"));
      const scene: Scene = {
        dispatcher,
        runner,
        temp: lane.temp,
        clock: lane.clock,
        output: out,
        note: () => lane.namespaces.note(child.pid),
      };
      missed = !(await strike(cell, scene, over));
    } catch (error) {
      // A run that ends in the very moment can be missed; anything else is a mistake of ours.
      if (ended()) missed = true;
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
    ...(await leftovers(cell, lane, ending, ends.events)).map((what) => `left: ${what}`),
  );
  if (!missed && over && !cell.endings.includes(ending))
    problems.push(`ended as \`${ending}\`, expected ${cell.endings.join(" or ")} (status ${child.exitCode})`);
  // A phase that was over before the process could be found proves nothing about the cell.
  if (missed && problems.length === 0)
    return { ending: "missed", problems: [MISSED], ms: performance.now() - started, text };
  return { ending: over ? ending : "hang", problems, ms: performance.now() - started, text };
};

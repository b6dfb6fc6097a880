/** Runs one cell of the table and says how it ended, and what was wrong with that. */

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ProviumEvent } from "../../../src/events/types.ts";
import { orderProblems } from "../../events/order.ts";
import { eventsAt, leftovers } from "./aftermath.ts";
import { type Scene, STOP_MS } from "./faults.ts";
import { NEVER_CAME } from "./guest-faults.ts";
import { commandOf } from "./invocation.ts";
import { childrenOf } from "./kernel.ts";
import type { Lane } from "./lane.ts";
import { Reader } from "./reader.ts";
import { DONE, filesOf, GO, MARK } from "./scenario.ts";
import { strike } from "./strike.ts";
import type { Cell, Ending } from "./table.ts";
import { until } from "./until.ts";

/** A run that is not over by then hangs. Emulated machines on a busy host are slow; the deadlines of calls are far below. */
const LIMIT_MS = 240_000;
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
      // Below a shell that made its file system.
      const dispatcher = fault === "disk full" ? Number(childrenOf(child.pid)[0]) : child.pid;
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

/** After the run of a cell: what it recorded, what it left, and how the next run fares. */

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { readRecording } from "../../../src/events/recording.ts";
import type { ProviumEvent } from "../../../src/events/types.ts";
import { argumentsOf, EXECUTABLE } from "./invocation.ts";
import type { Lane } from "./lane.ts";
import type { Cell, Ending } from "./table.ts";
import { until } from "./until.ts";

/** By when everything is gone after the end of the run. */
const GONE_MS = 10_000;

const isBuilt = ({ kind }: ProviumEvent): boolean => kind === "fixture_build_done";

/** The events that a run has recorded, and whether it came to its end. */
export const eventsAt = (path: string): { events: ProviumEvent[]; whole: boolean } => {
  const events: ProviumEvent[] = [];
  try {
    const whole = readRecording(path, (event) => events.push(event));
    return { events, whole: whole && events.at(-1)?.kind === "run_completed" };
  } catch {
    return { events, whole: false };
  }
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

/** What is still there after the run, and what is wrong with the next one. */
export const leftovers = async (
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

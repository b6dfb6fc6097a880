/**
 * Runs a schedule without running anything: files are lists of phases with a duration, time jumps from one event
 * to the next. For properties of the scheduler, and for what a mixed load makes of a pool.
 */

import { plus, within } from "../../../src/dispatch/amount.ts";
import { type Action, FILE_OVERHEAD, Schedule } from "../../../src/dispatch/schedule.ts";
import type { ResourceAmount } from "../../../src/events/types.ts";

export interface Load {
  readonly path: string;
  readonly claim: ResourceAmount;
  /** Machines that it boots one after another and keeps to its end; each phase lasts `ms` once its machine runs. */
  readonly phases: readonly { readonly machine?: ResourceAmount; readonly ms: number }[];
}

export interface Simulated {
  readonly makespan: number;
  readonly dispatched: readonly string[];
  readonly ended: ReadonlySet<string>;
  readonly refused: readonly string[];
  /** Steps after which more was charged than the pool has although nothing was said of it. */
  readonly overbooked: number;
  readonly overdrafts: readonly string[];
  /** How often a file saw another one, behind it in the queue, start before it; the worst case. */
  readonly overtaken: number;
  /** Part of the memory and CPUs charged over the makespan. */
  readonly utilisation: { readonly memory: number; readonly cpus: number };
}

interface Live {
  readonly load: Load;
  phase: number;
}

export const simulate = (
  loads: readonly Load[],
  total: ResourceAmount,
  jobs: number,
  patience: number,
): Simulated => {
  const schedule = new Schedule(total, patience);
  const live = new Map<string, Live>();
  const timers: { at: number; path: string }[] = [];
  const asked = new Map<number, string>();
  const order = loads.map(({ path }) => path);
  const dispatched: string[] = [];
  const ended = new Set<string>();
  const refused: string[] = [];
  const overdrafts: string[] = [];
  const overdrawn = new Set<string>();
  const overtaken = new Map<string, number>();
  let overbooked = 0;
  let now = 0;
  let serial = 0;
  let memory = 0;
  let cpus = 0;
  const pending: Action[] = [];

  const advance = (to: number): void => {
    memory += schedule.used.memory_bytes * (to - now);
    cpus += schedule.used.cpus * (to - now);
    now = to;
  };
  const step: Schedule["step"] = (what) => {
    const actions = schedule.step(what);
    pending.push(...actions);
    for (const action of actions) if (action.act === "overdrawn") overdrawn.add(action.path);
    if (!within(schedule.used, total) && overdrawn.size === 0) overbooked++;
    return actions;
  };
  const end = (path: string): void => {
    live.delete(path);
    overdrawn.delete(path);
    ended.add(path);
    step({ event: "ended", path });
    step({ event: "runners", idle: jobs - live.size });
  };
  const enterPhase = (file: Live): void => {
    const phase = file.load.phases[file.phase];
    if (phase === undefined) end(file.load.path);
    else if (phase.machine === undefined) timers.push({ at: now + phase.ms, path: file.load.path });
    else {
      const id = ++serial;
      asked.set(id, file.load.path);
      step({ event: "draw", id, path: file.load.path, vm: `vm${id}`, amount: phase.machine });
    }
  };
  const settle = (): void => {
    for (let action = pending.shift(); action !== undefined; action = pending.shift()) {
      if (action.act === "dispatch") {
        const { path } = action;
        dispatched.push(path);
        for (const other of order.slice(0, order.indexOf(path)))
          overtaken.set(other, (overtaken.get(other) ?? 0) + 1);
        order.splice(order.indexOf(path), 1);
        const file: Live = { load: loads.find((load) => load.path === path) as Load, phase: 0 };
        live.set(path, file);
        enterPhase(file);
      } else if (action.act === "grant") {
        const file = live.get(asked.get(action.id) as string) as Live;
        timers.push({ at: now + (file.load.phases[file.phase]?.ms ?? 0), path: file.load.path });
      } else if (action.act === "refuse") {
        const path = asked.get(action.id) as string;
        refused.push(path);
        end(path);
      } else if (action.act === "overdrawn") overdrafts.push(action.path);
    }
  };

  for (const { path, claim } of loads) step({ event: "queued", path, claim });
  step({ event: "runners", idle: jobs });
  settle();
  while (timers.length > 0) {
    timers.sort((a, b) => a.at - b.at);
    const { at, path } = timers.shift() as { at: number; path: string };
    advance(at);
    const file = live.get(path) as Live;
    file.phase++;
    enterPhase(file);
    settle();
  }
  return {
    makespan: now,
    dispatched,
    ended,
    refused,
    overbooked,
    overdrafts,
    overtaken: Math.max(0, ...overtaken.values()),
    utilisation: {
      memory: now === 0 ? 0 : memory / (total.memory_bytes * now),
      cpus: now === 0 ? 0 : cpus / (total.cpus * now),
    },
  };
};

/** No schedule of these loads can be shorter: the longest file, and the work that each resource has to carry. */
export const lowerBound = (loads: readonly Load[], total: ResourceAmount, jobs: number): number => {
  let longest = 0;
  let time = 0;
  let memory = 0;
  let cpus = 0;
  for (const { claim, phases } of loads) {
    const ms = phases.reduce((sum, phase) => sum + phase.ms, 0);
    const reserved = plus(FILE_OVERHEAD, claim);
    longest = Math.max(longest, ms);
    time += ms;
    memory += reserved.memory_bytes * ms;
    cpus += reserved.cpus * ms;
  }
  return Math.max(longest, time / jobs, memory / total.memory_bytes, cpus / total.cpus);
};

/** Arithmetic of memory and CPUs together. */

import type { ResourceAmount } from "../events/types.ts";

export const NOTHING: ResourceAmount = { memory_bytes: 0, cpus: 0 };

export const plus = (a: ResourceAmount, b: ResourceAmount): ResourceAmount => ({
  memory_bytes: a.memory_bytes + b.memory_bytes,
  cpus: a.cpus + b.cpus,
});

export const minus = (a: ResourceAmount, b: ResourceAmount): ResourceAmount => ({
  memory_bytes: a.memory_bytes - b.memory_bytes,
  cpus: a.cpus - b.cpus,
});

/** The larger of each. */
export const most = (a: ResourceAmount, b: ResourceAmount): ResourceAmount => ({
  memory_bytes: Math.max(a.memory_bytes, b.memory_bytes),
  cpus: Math.max(a.cpus, b.cpus),
});

/** `a` is no more than `b` in either. */
export const within = (a: ResourceAmount, b: ResourceAmount): boolean =>
  a.memory_bytes <= b.memory_bytes && a.cpus <= b.cpus;

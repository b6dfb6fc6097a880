/**
 * How hard this host is pressed, by the kernel's own account (PSI: Documentation/accounting/psi.rst). While tasks
 * wait for a CPU, or for memory, more than a part of their time, no further file is started.
 */

import { readFileSync } from "node:fs";

/** Percent of the last ten seconds in which some task had to wait. */
export interface Pressure {
  readonly cpu: number;
  readonly memory: number;
}

export const DEFAULT_LIMITS: Pressure = { cpu: 50, memory: 20 };

/** Under pressure on the CPUs two files may run all the same: while one waits for its guest the other computes. */
const UNDER_CPU_PRESSURE = 2;
const UNDER_MEMORY_PRESSURE = 1;

/** `avg10` of the line "some avg10=1.53 avg60=… total=…". */
export const someAverage = (text: string): number | undefined => {
  const value = /^some avg10=(\d+(?:\.\d+)?)/m.exec(text)?.[1];
  return value === undefined ? undefined : Number(value);
};

/** What the host says now; undefined where it does not say (a kernel without PSI, `psi=0`). */
export const readPressure = (directory = "/proc/pressure"): Pressure | undefined => {
  try {
    const cpu = someAverage(readFileSync(`${directory}/cpu`, "utf8"));
    const memory = someAverage(readFileSync(`${directory}/memory`, "utf8"));
    return cpu === undefined || memory === undefined ? undefined : { cpu, memory };
  } catch {
    return undefined;
  }
};

/** How many files may run. */
export const allowedFiles = (now: Pressure | undefined, limits: Pressure): number => {
  if (now === undefined) return Number.POSITIVE_INFINITY;
  if (now.memory > limits.memory) return UNDER_MEMORY_PRESSURE;
  return now.cpu > limits.cpu ? UNDER_CPU_PRESSURE : Number.POSITIVE_INFINITY;
};

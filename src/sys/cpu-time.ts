/** What a process has used of the CPUs, all its threads together. proc(5), /proc/PID/stat. */

import { readFileSync } from "node:fs";

/** USER_HZ is 100 on every architecture that we run on. */
const TICK_MS = 10;
/** Fields 14 and 15 of the line, counted behind the name, which may hold anything but ends with the last bracket. */
const USER = 11;
const SYSTEM = 12;

/** Milliseconds in steps of ten; undefined when the process is gone. */
export const cpuMsOf = (pid: number): number | undefined => {
  try {
    const line = readFileSync(`/proc/${pid}/stat`, "latin1");
    const fields = line.slice(line.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[USER]) + Number(fields[SYSTEM])) * TICK_MS;
  } catch {
    return undefined;
  }
};

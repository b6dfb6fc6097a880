/** What a process has used of the CPUs, and whether it would use more. proc(5). */

import { readdirSync, readFileSync } from "node:fs";

/** USER_HZ is 100 on every architecture that we run on. */
const TICK_MS = 10;
/** Fields 14 and 15 of the line, counted behind the name, which may hold anything but ends with the last bracket. */
const USER = 11;
const SYSTEM = 12;

/** What all its threads have used: milliseconds in steps of ten; undefined when the process is gone. /proc/PID/stat. */
export const cpuMsOf = (pid: number): number | undefined => {
  try {
    const line = readFileSync(`/proc/${pid}/stat`, "latin1");
    const fields = line.slice(line.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[USER]) + Number(fields[SYSTEM])) * TICK_MS;
  } catch {
    return undefined;
  }
};

/** Whether one of its threads runs or would, had it a processor: state R of /proc/PID/task/TID/stat. */
export const wantsProcessor = (pid: number): boolean => {
  try {
    return readdirSync(`/proc/${pid}/task`).some((thread) => {
      const line = readFileSync(`/proc/${pid}/task/${thread}/stat`, "latin1");
      return line[line.lastIndexOf(")") + 2] === "R";
    });
  } catch {
    return false;
  }
};

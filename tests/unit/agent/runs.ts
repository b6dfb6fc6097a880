import { readFileSync } from "node:fs";

/** Whether a process runs. A zombie that nobody has reaped yet does not; one may be reaped while its file is open. */
export const runs = (pid: number | string): boolean => {
  try {
    return !/^\d+ \(.*\) [ZX] /s.test(readFileSync(`/proc/${pid}/stat`, "latin1"));
  } catch {
    return false;
  }
};

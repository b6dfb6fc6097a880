/**
 * Kernel same-page merging, tuned for the time of a run and put back afterwards: guests of one image share the
 * pages that are equal. Source: Documentation/admin-guide/mm/ksm.rst.
 */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const WANTED: Readonly<Record<string, string>> = { pages_to_scan: "1000", sleep_millisecs: "100", run: "1" };

export interface Ksm {
  /** To be said once. */
  readonly notice: string;
  /** Writes back what was there before. Idempotent. */
  restore(): void;
}

/** Turns merging on. Never throws: what cannot be set is said, and left alone. */
export const tuneKsm = (directory = "/sys/kernel/mm/ksm"): Ksm => {
  const before = new Map<string, string>();
  const restore = (): void => {
    for (const [name, value] of [...before].reverse()) {
      before.delete(name);
      try {
        writeFileSync(join(directory, name), value);
      } catch {
        // It was ours to write a moment ago; nothing more can be done about it here.
      }
    }
  };
  try {
    for (const [name, value] of Object.entries(WANTED)) {
      const path = join(directory, name);
      const old = readFileSync(path, "utf8").trim();
      if (old === value) continue;
      writeFileSync(path, value);
      before.set(name, old);
    }
  } catch (error) {
    restore();
    const { code } = error as NodeJS.ErrnoException;
    return { notice: `ksm is left alone: ${directory} cannot be written (${code})`, restore };
  }
  return { notice: "ksm tuned (run = on, pages_to_scan = 1000, sleep_millisecs = 100)", restore };
};

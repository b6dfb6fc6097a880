/** The files that a command writes: each has one writer, and none is read as well or written by hand. */

import { existsSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { UsageError } from "../errors/errors.ts";

export interface Written {
  /** As it stands on the command line: `--save-events FILE`. */
  readonly what: string;
  /** Absolute. */
  readonly path: string;
}

const resolved = (path: string): string => {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
};

/** One name for one file, however it is written; undefined for what any number can write to (a device, a pipe). */
const identity = (path: string): string | undefined => {
  try {
    const info = statSync(path, { throwIfNoEntry: false });
    if (info === undefined) return join(resolved(dirname(path)), basename(path));
    return info.isFile() ? resolved(path) : undefined;
  } catch {
    // Whoever opens it says why that cannot be done.
    return undefined;
  }
};

/** What people write by hand. A flag whose value was forgotten takes the name of a test behind it for one. */
const SOURCE = /\.(lua|toml)$/;

/** Throws `UsageError` for two outputs in one file, and for an output that would overwrite one of `read` or a source. */
export const refuseWrongOutputs = (outputs: readonly Written[], read: readonly string[] = []): void => {
  const taken = new Map<string, string>();
  for (const path of read) {
    const file = identity(path);
    if (file !== undefined) taken.set(file, `would overwrite ${path}, which is read`);
  }
  for (const { what, path } of outputs) {
    const file = identity(path);
    if (file === undefined) continue;
    const reason = taken.get(file);
    if (reason !== undefined) throw new UsageError(`${what} ${reason}`);
    if (SOURCE.test(file) && existsSync(file))
      throw new UsageError(`${what} would overwrite ${basename(path)}, which is no output`, {
        hint: "name the file to write behind the flag",
      });
    taken.set(file, `would write into the file of ${what}`);
  }
};

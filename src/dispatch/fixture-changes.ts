/** Whether the files that a build has read are still those that were there when it began. */

import { statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { Dependency } from "../fixture/recorder.ts";

/** True when one of them was changed after `sinceMs` (milliseconds since the epoch). */
export const changedSince = (
  sinceMs: number,
  dependencies: readonly Dependency[],
  fixture: string,
): boolean =>
  dependencies.some(({ kind, name }) => {
    if (kind !== "file") return false;
    const info = statSync(resolve(dirname(fixture), name), { throwIfNoEntry: false });
    return info !== undefined && info.ctimeMs > sinceMs;
  });

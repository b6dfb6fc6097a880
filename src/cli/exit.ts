/** Exit statuses, which CI systems and scripts rely on. */

import type { Outcome } from "../dispatch/dispatcher.ts";

export const EXIT_PASSED = 0;
export const EXIT_FAILED = 1;
/** Wrong flags or configuration, a host that lacks something, a bug of ours. */
export const EXIT_UNABLE = 2;

/** The status of a run that came to its end. */
export const exitStatus = (outcome: Outcome, interruption: number | undefined): number => {
  if (outcome.interrupted) return interruption ?? 130;
  return [...outcome.statuses.values()].every((status) => status === "passed") ? EXIT_PASSED : EXIT_FAILED;
};

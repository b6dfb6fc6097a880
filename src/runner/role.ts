/** How a process of this executable learns that it is a runner: by its environment, which nothing that it starts is to see. */

/** Chooses the role. */
const ROLE = "PROVIUM_ROLE";
/**
 * JavaScriptCore's threshold for its last and dearest compiler; its own default is 100,000. Most runners live for a
 * second or less, in which that compiler costs more than it gives: with five times the threshold 100 files of 10 tests
 * take a twentieth less time, and a long Lua loop, which crosses it within milliseconds, as long as before.
 */
const LAST_TIER = "BUN_JSC_thresholdForFTLOptimizeAfterWarmUp";
const LAST_TIER_THRESHOLD = "500000";

export const isRunner = (environment: NodeJS.ProcessEnv): boolean => environment[ROLE] === "runner";

/** What a runner is started with. A threshold that the user has set stays. */
export const runnerEnvironment = (environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv => ({
  [LAST_TIER]: LAST_TIER_THRESHOLD,
  ...environment,
  [ROLE]: "runner",
});

/** Called once by the runner itself. */
export const hideRole = (environment: NodeJS.ProcessEnv): void => {
  delete environment[ROLE];
  if (environment[LAST_TIER] === LAST_TIER_THRESHOLD) delete environment[LAST_TIER];
};

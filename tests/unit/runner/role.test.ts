import { expect, test } from "bun:test";
import { hideRole, isRunner, runnerEnvironment } from "../../../src/runner/role.ts";

test("a runner knows its role, and what it starts sees the environment that the user gave", () => {
  const given = { HOME: "/home/me" };
  const environment = runnerEnvironment(given);
  expect(isRunner(given)).toBeFalse();
  expect(isRunner(environment)).toBeTrue();
  hideRole(environment);
  expect(environment).toEqual(given);
});

test("the user's own threshold of the compiler stays, for the runner and for what it starts", () => {
  const given = { BUN_JSC_thresholdForFTLOptimizeAfterWarmUp: "7" };
  const environment = runnerEnvironment(given);
  expect(environment.BUN_JSC_thresholdForFTLOptimizeAfterWarmUp).toBe("7");
  hideRole(environment);
  expect(environment).toEqual(given);
});

import { expect, test } from "bun:test";
import { resolve } from "node:path";

const program = resolve(import.meta.dir, "../../../build/agent-asan/loop");

// An agent took the end of a task for that of the task that came after it, and ended it.
test("a watch that changes its descriptor hears nothing of the one it had", () => {
  const { stdout, stderr, exitCode } = Bun.spawnSync([program]);
  expect(`${stdout}${stderr}`).toBe("");
  expect(exitCode).toBe(0);
});

import { expect, test } from "bun:test";
import { resolve } from "node:path";

const program = resolve(import.meta.dir, "../../../build/agent-asan/ending");

// The agent told the thread to leave in memory that it had given back.
test("a thread that is being ended may go with its process", () => {
  const { stdout, stderr, exitCode } = Bun.spawnSync([program]);
  expect(`${stdout}${stderr}`).toBe("");
  expect(exitCode).toBe(0);
});

import { expect, test } from "bun:test";
import { resolve } from "node:path";

const program = resolve(import.meta.dir, "../../../build/agent-tsan/threads");

const run = (...mode: string[]) => {
  // ThreadSanitizer wants its shadow where a kernel that randomises much may have put something else.
  const { stdout, stderr, exitCode } = Bun.spawnSync(["setarch", "--addr-no-randomize", program, ...mode]);
  return { said: stdout.toString(), complaint: stderr.toString(), exitCode };
};

test("a task and its threads, and who speaks to them, race for nothing", () => {
  expect(run()).toEqual({ said: "830 requests\n", complaint: "", exitCode: 0 });
});

test("a sheet that is touched between bell and answer is reported as a race", () => {
  const { complaint, exitCode } = run("planted");
  expect(complaint).toContain("data race agent/guest/task.c");
  expect(exitCode).toBe(66);
});

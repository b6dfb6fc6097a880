import { expect, test } from "bun:test";
import { cpuMsOf, wantsProcessor } from "../../../src/sys/cpu-time.ts";

test("a process that works uses CPU time, one that is gone has none", () => {
  const before = cpuMsOf(process.pid) as number;
  while (process.cpuUsage().user + process.cpuUsage().system < (before + 60) * 1000);
  const used = (cpuMsOf(process.pid) as number) - before;
  expect(used).toBeGreaterThanOrEqual(40);
  expect(cpuMsOf(2 ** 22 + 1)).toBeUndefined();
});

test("a process that computes wants a processor, one that sleeps does not", async () => {
  expect(wantsProcessor(process.pid)).toBe(true);
  const sleeper = Bun.spawn(["sleep", "1000"]);
  try {
    // Until it has started it computes.
    while (wantsProcessor(sleeper.pid)) await Bun.sleep(5);
    expect(wantsProcessor(sleeper.pid)).toBe(false);
  } finally {
    sleeper.kill();
    await sleeper.exited;
  }
  expect(wantsProcessor(sleeper.pid)).toBe(false);
});

import { expect, test } from "bun:test";
import { cpuMsOf } from "../../../src/sys/cpu-time.ts";

test("a process that works uses CPU time, one that is gone has none", () => {
  const before = cpuMsOf(process.pid) as number;
  while (process.cpuUsage().user + process.cpuUsage().system < (before + 60) * 1000);
  const used = (cpuMsOf(process.pid) as number) - before;
  expect(used).toBeGreaterThanOrEqual(40);
  expect(cpuMsOf(2 ** 22 + 1)).toBeUndefined();
});

import { expect, test } from "bun:test";
import { limitFiles, memoryLimit } from "../../../src/dispatch/cgroup.ts";

test("the limits of a group and of every group above it count", () => {
  expect(limitFiles("0::/system.slice/slurmstepd.scope/job_7\n")).toEqual([
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/system.slice/memory.max",
    "/sys/fs/cgroup/system.slice/slurmstepd.scope/memory.max",
    "/sys/fs/cgroup/system.slice/slurmstepd.scope/job_7/memory.max",
  ]);
  expect(limitFiles("0::/\n")).toEqual(["/sys/fs/cgroup/memory.max"]);
});

test("version 1 has a tree of its own for memory", () => {
  expect(limitFiles("4:cpu,memory:/a\n3:cpuset:/b\n1:name=systemd:/c\n")).toEqual([
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    "/sys/fs/cgroup/memory/a/memory.limit_in_bytes",
  ]);
});

test("a group whose name holds a colon is read, and no text at all is no group", () => {
  expect(limitFiles("0::/a:b")).toEqual(["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/a:b/memory.max"]);
  expect(limitFiles("")).toEqual([]);
});

test("this process may take something", () => {
  expect(memoryLimit()).toBeGreaterThan(2 ** 20);
});

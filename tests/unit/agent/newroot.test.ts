import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const program = resolve(import.meta.dir, "../../../build/agent-asan/newroot");
const place = mkdtempSync(join(tmpdir(), "provium-newroot-"));
afterAll(() => rmdirSync(place));

const run = (mode: string) => {
  // There is no /proc to look for leaks in where it ends.
  const env = { ...process.env, ASAN_OPTIONS: "detect_leaks=0" };
  const { stdout, stderr, exitCode } = Bun.spawnSync([program, place, mode], { env });
  return { said: stdout.toString().split("\n"), complaint: stderr.toString(), exitCode };
};

// Any file system that mounts without a device stands in for the tree of the host.
test("a tree becomes the root, with what is written over it, and /dev moves along", () => {
  expect(run("tmpfs")).toEqual({
    said: ["overlay", "writable", "dev moved along", "run empty", "old root hidden", ""],
    complaint: "",
    exitCode: 0,
  });
});

test("a file system that the kernel does not have is told by its name", () => {
  expect(run("nosuchfs")).toEqual({
    said: [""],
    complaint: "provium: cannot mount the tree of the host (nosuchfs): this kernel has no such file system\n",
    exitCode: 1,
  });
});

test("a disk that holds no root file system, in none of its partitions, is told as such", () => {
  expect(run("disk")).toMatchObject({
    complaint: expect.stringContaining(
      "neither the disk of the profile nor one of its partitions holds a root",
    ),
    exitCode: 1,
  });
});

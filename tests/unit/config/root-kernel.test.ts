import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { embeddedProfile } from "../../../src/config/profiles.ts";
import { withRootKernel } from "../../../src/config/root-kernel.ts";

let path: string;
beforeEach(() => {
  path = mkdtempSync(join(tmpdir(), "provium-root-"));
  mkdirSync(join(path, "boot"));
});
afterEach(() => rmSync(path, { recursive: true, force: true }));

const kernelOf = (kernelInside: boolean): string | undefined =>
  withRootKernel({ ...embeddedProfile(), root: { path, kernelInside } }).kernel;
const put = (name: string): void => writeFileSync(join(path, name), "");

test("the newest kernel in /boot serves, by the order of versions", () => {
  for (const version of ["6.9.1", "6.10.0", "5.99.0"]) put(`boot/vmlinuz-${version}`);
  expect(kernelOf(true)).toBe(join(path, "boot/vmlinuz-6.10.0"));
});

test("a plain vmlinuz goes before those with a version", () => {
  put("boot/vmlinuz-6.1");
  put("boot/vmlinuz");
  expect(kernelOf(true)).toBe(join(path, "boot/vmlinuz"));
  put("vmlinuz");
  expect(kernelOf(true)).toBe(join(path, "vmlinuz"));
});

test("a profile that names its kernel, or a root without one, stays as it is", () => {
  expect(kernelOf(true)).toBeUndefined();
  put("vmlinuz");
  expect(kernelOf(false)).toBeUndefined();
});

test("a kernel from the root is the project's own, not the embedded one", () => {
  put("vmlinuz");
  const profile = withRootKernel({ ...embeddedProfile(), root: { path, kernelInside: true } });
  expect(profile.origin).toBe("lab");
});

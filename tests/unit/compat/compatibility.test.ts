/** docs/compatibility.md against what there is: it names what is tried here, and every test that it names exists. */

import { expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { FLAVOURS, newestAndOldest } from "../../compat/kernels.ts";

const page = readFileSync("docs/compatibility.md", "utf8");

test("the QEMU that tests run with is in the table", () => {
  const { stdout } = Bun.spawnSync(["qemu-system-x86_64", "--version"]);
  const version = /version (\d+\.\d+)/.exec(stdout.toString())?.[1] as string;
  expect(page).toContain(`| ${version} |`);
});

test("the default guest's kernel is in the table", () => {
  const manifest = readFileSync("build/guest/manifest", "utf8");
  expect(page).toContain(`linux-image-${/^release (\S+)$/m.exec(manifest)?.[1]}`);
});

test("every flavour of kernel that `make compat` tries is in the table", () => {
  for (const flavour of FLAVOURS) expect(page).toMatch(new RegExp(`^\\| ${flavour} \\|`, "m"));
});

test("tests and targets that the page names exist", () => {
  const makefile = readFileSync("Makefile", "utf8");
  for (const [, target] of page.matchAll(/`make ([\w-]+)`/g))
    expect(makefile).toMatch(new RegExp(`^${target}:`, "m"));
  for (const [, path] of page.matchAll(/`(tests\/[^`]+)`/g)) expect(existsSync(path as string)).toBe(true);
});

test("nothing compares versions of QEMU or of kernels", () => {
  for (const room of ["vmm", "boot", "net"])
    for (const file of readdirSync(join("src", room)))
      expect(readFileSync(join("src", room, file), "utf8")).not.toMatch(
        /qemuVersion\s*[<>]|release\s*[<>]=?\s*["\d]/,
      );
});

test("of many packages the newest and the oldest are taken, by number and not by letter", () => {
  const offered = [
    "linux-image-6.1.0-9-amd64",
    "linux-image-6.1.0-56-amd64",
    "linux-image-6.1.0-30-rt-amd64",
    "linux-image-5.10.0-1-amd64",
  ];
  expect(newestAndOldest(offered, "generic")).toEqual([
    "linux-image-6.1.0-56-amd64",
    "linux-image-5.10.0-1-amd64",
  ]);
  expect(newestAndOldest(offered, "rt")).toEqual(["linux-image-6.1.0-30-rt-amd64"]);
  expect(newestAndOldest(offered, "cloud")).toEqual([]);
});

/** docs/compatibility.md against what there is: it has a row for whatever is tried, and every test that it names exists. */

import { expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { CELLS, cellName, packagesOf, rowStart } from "../../compat/cells.ts";

const page = readFileSync("docs/compatibility.md", "utf8");
const rows = page.split("\n");

test("the QEMU that tests run with is in the table", () => {
  const { stdout } = Bun.spawnSync(["qemu-system-x86_64", "--version"]);
  const version = /version (\d+\.\d+)/.exec(stdout.toString())?.[1] as string;
  expect(page).toContain(`| ${version}`);
});

test("the table has a cloud kernel of the default guest's series", () => {
  const series = /^release (\d+\.\d+\.)/m.exec(readFileSync("build/guest/manifest", "utf8"))?.[1] as string;
  expect(
    rows.filter((row) => row.startsWith("| kernel |") && row.includes(`| cloud | ${series}`)),
  ).not.toEqual([]);
});

test("whatever `make compat` tries has one row, with what came of it, and no row is of anything else", () => {
  for (const cell of CELLS) {
    const own = rows.filter((row) => row.startsWith(rowStart(cell)));
    expect([cellName(cell), own.length]).toEqual([cellName(cell), 1]);
    expect(own[0]).toMatch(/\| \d[^|]* \| (\d+ passed, \d+ failed|not tried)[^|]* \|$/);
  }
  expect(rows.filter((row) => /^\| (qemu|kernel) \|/.test(row))).toHaveLength(CELLS.length);
});

test("packages are those of Debian's names", () => {
  const named = CELLS.flatMap(packagesOf);
  expect([...new Set(named)].sort()).toEqual([
    "linux-image-amd64",
    "linux-image-cloud-amd64",
    "linux-image-rt-amd64",
    "qemu-system-x86",
    "qemu-utils",
  ]);
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

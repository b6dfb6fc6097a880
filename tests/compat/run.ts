/**
 * `make compat`: each cell of cells.ts, unpacked below build/compat once (some hundred MB each) and tried: a QEMU with
 * suites of tests/vm, a kernel with kernel.test.lua and the QEMU that is installed. Prints the rows of
 * docs/compatibility.md, and what failed. ONLY=PATTERN chooses cells by their names. Installs nothing.
 */

import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { CELLS, type Cell, cellName, packagesOf, rowStart } from "./cells.ts";

const HERE = import.meta.dir;
const PROVIUM = resolve("dist/provium");
/** One for each thing that a QEMU does for us. */
const SUITES = [
  ...["api/life", "boot/console", "boot/power", "boot/deterministic", "disk/images", "disk/faults"],
  ...["guest/console", "net/reset", "snapshot/state", "snapshot/disks", "snapshot/network"],
].map((name) => join("tests/vm", `${name}.test.lua`));

interface Ran {
  readonly code: number;
  readonly said: string;
}

const run = (command: readonly string[], env: Readonly<Record<string, string>> = {}): Ran => {
  const child = Bun.spawnSync([...command], { stdin: "ignore", env: { ...process.env, ...env } });
  return { code: child.exitCode, said: `${child.stdout}${child.stderr}` };
};
const done = (command: readonly string[]): string => {
  const { code, said } = run(command);
  if (code !== 0) throw new Error(`${command.join(" ")}:\n${said}`);
  return said;
};

/** The directory of a cell with its packages in `root`. */
const unpacked = (cell: Cell): string => {
  const directory = resolve("build/compat", cellName(cell).replaceAll(" ", "/"));
  if (!existsSync(join(directory, "root")))
    done([join(HERE, "unpack.sh"), cell.suite, directory, ...packagesOf(cell)]);
  return directory;
};

const first = (...paths: string[]): string => {
  const found = paths.find(existsSync);
  if (found === undefined) throw new Error(`none of these is there: ${paths.join(", ")}`);
  return found;
};

const tryQemu = (directory: string): { what: string; ran: Ran } => {
  mkdirSync(join(directory, "bin"), { recursive: true });
  for (const name of ["qemu-system-x86_64", "qemu-storage-daemon"])
    if (!existsSync(join(directory, "bin", name)))
      symlinkSync(join(HERE, "program.sh"), join(directory, "bin", name));
  const qemu = join(directory, "bin/qemu-system-x86_64");
  const what = /version (\S+)/.exec(done([qemu, "--version"]))?.[1] ?? "?";
  const command = [PROVIUM, "test", ...SUITES, "--config", "tests/vm/provium.toml"];
  return { what, ran: run(command, { PROVIUM_QEMU: qemu }) };
};

const tryKernel = (directory: string): { what: string; ran: Ran } => {
  const root = join(directory, "root");
  const trees = first(join(root, "lib/modules"), join(root, "usr/lib/modules"));
  const release = readdirSync(trees)[0] as string;
  const modules = join(trees, release);
  if (!existsSync(join(modules, "modules.dep"))) {
    // depmod looks in /lib, which the package leaves to base-files.
    if (!existsSync(join(root, "lib"))) symlinkSync("usr/lib", join(root, "lib"));
    done(["/sbin/depmod", "-b", root, release]);
  }
  const profile = {
    kernel: first(join(root, "boot", `vmlinuz-${release}`), join(modules, "vmlinuz")),
    modules,
    initrd: resolve("build/guest/initrd.cpio.zst"),
  };
  const lines = Object.entries(profile).map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`);
  writeFileSync(join(directory, "provium.toml"), `[profiles.kernel]\n${lines.join("")}`);
  const config = join(directory, "provium.toml");
  const test = join(HERE, "kernel.test.lua");
  return { what: release, ran: run([PROVIUM, "test", test, "--config", config], { RELEASE: release }) };
};

const only = new RegExp(process.env.ONLY ?? "");
let bad = 0;
for (const cell of CELLS.filter((one) => only.test(cellName(one)))) {
  const directory = unpacked(cell);
  const { what, ran } = cell.kind === "qemu" ? tryQemu(directory) : tryKernel(directory);
  const counts = /(\d+) passed, (\d+) failed/.exec(ran.said.slice(ran.said.lastIndexOf("file(s);")));
  console.log(`${rowStart(cell)} ${what} | ${counts === null ? "nothing ran" : counts[0]} |`);
  if (ran.code === 0) continue;
  bad++;
  console.log(ran.said);
}
process.exit(bad === 0 ? 0 : 1);

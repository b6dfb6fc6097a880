/**
 * `make compat`: kernels of Debian's packages as apt offers them here, newest and oldest of each flavour, each booted with the
 * QEMU that is installed and asked who it is. Prints the rows of docs/compatibility.md. Downloads about 70 MB for each kernel
 * that is not in build/compat yet; installs nothing.
 */

import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { FLAVOURS, newestAndOldest } from "./kernels.ts";

const WORK = "build/compat";
const run = (command: readonly string[], cwd = "."): string => {
  const { exitCode, stdout, stderr } = Bun.spawnSync([...command], { cwd, stdin: "ignore" });
  if (exitCode !== 0) throw new Error(`${command.join(" ")}:\n${stdout}${stderr}`);
  return stdout.toString();
};

/** The unpacked package; downloaded once. */
const unpacked = (name: string): string => {
  const root = resolve(WORK, name);
  if (existsSync(join(root, "boot"))) return root;
  mkdirSync(join(WORK, "packages"), { recursive: true });
  run(["apt-get", "download", "-q", name], join(WORK, "packages"));
  const file = readdirSync(join(WORK, "packages")).find((entry) => entry.startsWith(`${name}_`));
  run(["dpkg-deb", "-x", join(WORK, "packages", file as string), root]);
  return root;
};

const SMOKE = `local g = provium:vm("g", "kernel", { memory = "256M" }):boot()
test("it is the kernel that was asked for", function(t)
  t:assert_eq(g:syscall(39).errno, 0)
  t:assert_contains(g:read_file("/proc/version"), RELEASE)
end)
test("the power goes off", function(t) g:shutdown() t:assert_eq(g:state(), "shutdown") end)
`;

const offered = run(["apt-cache", "search", "--names-only", "^linux-image-[0-9].*"])
  .split("\n")
  .map((line) => line.split(" ")[0] as string);
const qemu = /version (\S+)/.exec(run(["qemu-system-x86_64", "--version"]))?.[1];
const wanted = process.argv.slice(2);
let bad = 0;
for (const flavour of FLAVOURS)
  for (const name of newestAndOldest(offered, flavour)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    const release = name.slice("linux-image-".length);
    let outcome: string;
    try {
      const root = unpacked(name);
      const modules = [join(root, "lib/modules", release), join(root, "usr/lib/modules", release)].find(
        existsSync,
      );
      if (!existsSync(join(modules as string, "modules.dep"))) run(["/sbin/depmod", "-b", root, release]);
      writeFileSync(
        join(root, "provium.toml"),
        `[profiles.kernel]\nkernel = "boot/vmlinuz-${release}"\nmodules = "${modules}"\n`,
      );
      writeFileSync(join(root, "smoke.test.lua"), SMOKE.replace("RELEASE", JSON.stringify(release)));
      const said = run([resolve("dist/provium"), "-v", "smoke.test.lua"], root);
      outcome = `boots in ${/booted in ([\d.]+ s)/.exec(said)?.[1] ?? "?"}`;
    } catch (error) {
      bad++;
      outcome = `FAILS: ${(error as Error).message}`;
    }
    console.log(`| ${flavour} | ${release} | QEMU ${qemu} | ${outcome} |`);
  }
process.exit(bad === 0 ? 0 : 1);

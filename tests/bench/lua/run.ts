/**
 * Lua on the patched fengari against stock fengari and PUC Lua: seconds, and ratios to both. Each kernel runs in a
 * process of its own, the three engines one after another.
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

const here = import.meta.dir;
const kernels = join(here, "kernels.lua");
const runner = join(here, "..", "..", "unit", "lua-patch", "run-lua.ts");
const patched = dirname(dirname(Bun.resolveSync("fengari", here)));
const puc = Bun.which("lua5.4");

const run = (command: readonly string[]): string => {
  const { stdout, exitCode } = Bun.spawnSync([...command], { stderr: "inherit" });
  if (exitCode !== 0) throw new Error(`${command.join(" ")} failed`);
  return stdout.toString().trim();
};

/** Installs the package as it is published. */
const installStock = async (directory: string): Promise<string> => {
  const { version } = await Bun.file(join(patched, "package.json")).json();
  await Bun.write(join(directory, "package.json"), JSON.stringify({ dependencies: { fengari: version } }));
  const { exitCode } = Bun.spawnSync([process.execPath, "install", "--silent"], { cwd: directory });
  if (exitCode !== 0) throw new Error("stock fengari cannot be installed");
  return join(directory, "node_modules", "fengari");
};

const work = mkdtempSync(join(tmpdir(), "provium-lua-bench-"));
try {
  const stock = await installStock(work);
  const seconds = (fengari: string, name: string): number =>
    Number(run([process.execPath, runner, fengari, kernels, name]));
  const names = run([process.execPath, runner, patched, kernels]).split("\n");
  console.log("kernel                   stock s  ours s   PUC s  faster than stock  slower than PUC");
  for (const name of names) {
    const s = seconds(stock, name);
    const o = seconds(patched, name);
    const p = puc === null ? Number.NaN : Number(run([puc, kernels, name]));
    console.log(
      [
        name.padEnd(22),
        s.toFixed(3).padStart(9),
        o.toFixed(3).padStart(7),
        p.toFixed(3).padStart(7),
        (s / o).toFixed(2).padStart(18),
        (o / p).toFixed(1).padStart(16),
      ].join(" "),
    );
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}

/** Snapshots in figures. `bun tests/bench/snapshot/run.ts [tests|clones|qemu …]`; `ROUNDS=n` restores (50). */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { measureClones, measureTests } from "./lua.ts";
import { measureQemu } from "./qemu.ts";

const ROUNDS = Number(process.env.ROUNDS ?? 50);
const CLONES = 8;
const wanted = process.argv.slice(2);
const directory = mkdtempSync(join(tmpdir(), "provium-bench-"));
const parts: Record<string, () => void | Promise<void>> = {
  tests: () => measureTests(directory, ROUNDS),
  clones: () => measureClones(directory, CLONES),
  qemu: () => measureQemu(directory, Math.ceil(ROUNDS / 5)),
};
try {
  for (const name of wanted.length > 0 ? wanted : Object.keys(parts)) await parts[name]?.();
} finally {
  rmSync(directory, { recursive: true, force: true });
}

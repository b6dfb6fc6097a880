/**
 * What events cost: the same 20 files (tests, calls of an agent, output) on the local VMM, with nothing that listens
 * beside the text, and with a recording. Interleaved pairs; the figure is the median of the pairs' ratios, of wall time
 * and of processor time (which the noise of a shared machine moves less).
 */

import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { median } from "./statistics.ts";

const FILES = 20;
const ROUNDS = Number(process.env.ROUNDS ?? 15);

const directory = mkdtempSync(join(tmpdir(), "provium-bench-"));
const suite = `local vm = provium:vm("g", "default"):boot()
for i = 1, 10 do
  test("t" .. i, function(t)
    print("test " .. i)
    for n = 1, 20 do t:assert_eq(vm:syscall(39).errno, 0) end
    t:assert(vm:run({ "true" }):ok())
  end)
end
`;

const VARIANTS = {
  quiet: [],
  recorded: ["--save-events", "events"],
  operations: ["--save-events", "events", "--operations"],
} as const;
type Variant = keyof typeof VARIANTS;

/** Milliseconds that one run took: on the clock, and of processors (its own and its children's). */
const measure = (flags: readonly string[]): { wall: number; cpu: number } => {
  const started = performance.now();
  const child = Bun.spawnSync([resolve("dist/provium"), "--vmm", "local", "-q", "--jobs", "2", ...flags], {
    cwd: directory,
    stdout: "ignore",
    stderr: "pipe",
  });
  if (child.exitCode !== 0) throw new Error(child.stderr.toString());
  return {
    wall: performance.now() - started,
    cpu: Number(child.resourceUsage?.cpuTime.total ?? 0) / 1000,
  };
};

try {
  for (let n = 0; n < FILES; n++) writeFileSync(join(directory, `t${n}.test.lua`), suite);
  const names = Object.keys(VARIANTS) as Variant[];
  const taken: Record<Variant, { wall: number; cpu: number }[]> = { quiet: [], recorded: [], operations: [] };
  measure([]);
  for (let round = 0; round < ROUNDS; round++) {
    // The order turns, so that what one run leaves warm favours none of them.
    const turn = names.map((_, i) => names[(i + round) % names.length] as Variant);
    for (const name of turn) taken[name].push(measure(VARIANTS[name]));
  }
  const ratio = (name: Variant, of: "wall" | "cpu"): string => {
    const each = taken[name].map((it, i) => it[of] / (taken.quiet[i] as { wall: number; cpu: number })[of]);
    return `${((median(each) - 1) * 100).toFixed(1)} %`;
  };
  for (const name of names)
    console.log(
      `${name.padEnd(10)} ${median(taken[name].map((it) => it.wall))
        .toFixed(0)
        .padStart(6)} ms   overhead: wall ${ratio(name, "wall")}, processor ${ratio(name, "cpu")}`,
    );
  console.log(`the recording with operations has ${statSync(join(directory, "events")).size} bytes`);
} finally {
  rmSync(directory, { recursive: true, force: true });
}

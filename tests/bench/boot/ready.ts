/**
 * Boot to READY of the default guest against the floor (see floor.ts), in turns, so that load on this machine
 * hits both alike. `ROUNDS=n` (10), `PROVIUM=path` (dist/provium), `ACCEL=kvm`.
 */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { median } from "../statistics.ts";
import { accel, bootFloor, prepareFloor } from "./floor.ts";

const ROUNDS = Number(process.env.ROUNDS ?? 10);
const PROVIUM = (process.env.PROVIUM ?? "dist/provium").split(" ");
const GOAL = 1.15;

const directory = mkdtempSync(join(tmpdir(), "provium-bench-"));

/** Seconds from `vm:boot()` to READY, as the run reports it. */
const bootProduct = async (): Promise<number> => {
  const run = Bun.spawn([...PROVIUM, "-v", "--accel", accel, join(directory, "boot.test.lua")], {
    stdout: "pipe",
    stderr: "inherit",
  });
  const text = await new Response(run.stdout).text();
  const seconds = /booted in ([0-9.]+) s/.exec(text)?.[1];
  if (seconds === undefined) throw new Error(`no boot reported:\n${text}`);
  return Number(seconds);
};

try {
  writeFileSync(
    join(directory, "boot.test.lua"),
    'test("boots", function(t) provium:vm("a", "default"):boot() end)\n',
  );
  const { best, equipped } = await prepareFloor(join(directory, "floor"));
  const floor: number[] = [];
  const loaded: number[] = [];
  const ready: number[] = [];
  // The first boot of each fills caches.
  await bootFloor(best);
  await bootFloor(equipped);
  await bootProduct();
  for (let round = 0; round < ROUNDS; round++) {
    floor.push(await bootFloor(best));
    loaded.push(await bootFloor(equipped));
    ready.push(await bootProduct());
  }
  const row = (name: string, times: readonly number[]): void => {
    const ratio = (median(ready) / median(times)).toFixed(2);
    const best = (Math.min(...ready) / Math.min(...times)).toFixed(2);
    console.log(
      `${name.padEnd(36)} ${median(times).toFixed(3)} s   boot() to READY: ${ratio}, best of each ${best}`,
    );
  };
  console.log(`boot() to READY                      ${median(ready).toFixed(3)} s   median of ${ROUNDS}`);
  row(`bare QEMU to user space`, floor);
  row(`with the channel's modules loaded`, loaded);
  console.log(`goal: at most ${GOAL} against bare QEMU`);
} finally {
  rmSync(directory, { recursive: true, force: true });
}

/**
 * How full the pool is: files with claims of many sizes that mostly wait, so that the host's own speed says little.
 * Prints the share of the pool that was in use until the last file started (after that nothing is there to fill it),
 * and what the whole run took beside the shortest time in which any schedule could fit the claims. The second run knows
 * from the first what each file takes. `FILES=120` is another size.
 */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { readRecording } from "../../src/events/recording.ts";
import type { ResourceAmount } from "../../src/events/types.ts";

const FILES = Number(process.env.FILES ?? 80);
const MIB = 2 ** 20;
const POOL = { memory_bytes: 8192 * MIB, cpus: 16 } as const;

/** The same mixed load in every run: a linear congruential generator (the constants of Numerical Recipes). */
let state = 1;
const random = (least: number, most: number): number => {
  state = (state * 1664525 + 1013904223) % 2 ** 32;
  return least + (most - least) * (state / 2 ** 32);
};

const directory = mkdtempSync(join(tmpdir(), "provium-bench-"));
const recording = join(directory, "events");

/** Share of the pool in use up to the start of the last file, the run's seconds, and the fewest that were possible. */
const facts = () => {
  const area = { memory_bytes: 0, cpus: 0 };
  const busy = { memory_bytes: 0, cpus: 0 };
  const taken = new Map<string, { readonly amount: ResourceAmount; readonly at: number }>();
  let used: ResourceAmount = { memory_bytes: 0, cpus: 0 };
  let begin: number | undefined;
  let last = 0;
  let share = { memory_bytes: 0, cpus: 0 };
  let end = 0;
  readRecording(recording, ({ kind, payload, ts }) => {
    const now = Number(ts) / 1e9;
    const pass = (): void => {
      begin ??= now;
      for (const key of ["memory_bytes", "cpus"] as const) area[key] += used[key] * (now - last);
      last = now;
    };
    if (kind === "pool_state") {
      pass();
      used = payload.used;
    } else if (kind === "claim_acquired") {
      taken.set(payload.path, { amount: payload.amount, at: now });
    } else if (kind === "claim_released") {
      const claim = taken.get(payload.path);
      if (claim === undefined) return;
      for (const key of ["memory_bytes", "cpus"] as const) busy[key] += claim.amount[key] * (now - claim.at);
    } else if (kind === "file_dispatched") {
      pass();
      const span = now - (begin as number);
      share = {
        memory_bytes: area.memory_bytes / span / POOL.memory_bytes,
        cpus: area.cpus / span / POOL.cpus,
      };
    } else if (kind === "run_completed") end = now - (begin ?? now);
  });
  return { share, end, least: Math.max(busy.memory_bytes / POOL.memory_bytes, busy.cpus / POOL.cpus) };
};

try {
  for (let n = 0; n < FILES; n++) {
    const claim = `provium:claim{ memory = "${random(128, 2048).toFixed(0)}M", cpus = ${Math.ceil(random(0, 3))} }`;
    const wait = `pcall(wait_until, function() return false end, { timeout = ${random(0.2, 2).toFixed(2)} })`;
    writeFileSync(
      join(directory, `t${n}.test.lua`),
      `${claim}\ntest("waits", function(t)\n  ${wait}\nend)\n`,
    );
  }
  for (const round of ["first run", "second run"]) {
    const command = ["-q", "--jobs", "64", "--mem", String(POOL.memory_bytes), "--cpus", `${POOL.cpus}`];
    const child = Bun.spawnSync([resolve("dist/provium"), ...command, "--save-events", recording], {
      cwd: directory,
      env: { ...process.env, XDG_CACHE_HOME: join(directory, "cache") },
      stdout: "ignore",
      stderr: "pipe",
    });
    if (child.exitCode !== 0) throw new Error(child.stderr.toString());
    const { share, end, least } = facts();
    const percent = (of: number): string => `${(of * 100).toFixed(1)} %`;
    console.log(
      `${round.padEnd(11)} pool in use: memory ${percent(share.memory_bytes)}, CPUs ${percent(share.cpus)}; ` +
        `${end.toFixed(1)} s, ${(end / least).toFixed(2)} times the least`,
    );
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
}

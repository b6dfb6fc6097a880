/**
 * What each flag of the floor gives: every line takes one away from the best set, in turns.
 * `bun tests/bench/boot/flags.ts [ROUNDS]`. Medians of a loaded machine say little; the minimum is shown as well.
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { median } from "../statistics.ts";
import { bootFloor, type Floor, prepareFloor } from "./floor.ts";

const rounds = Number(process.argv[2] ?? 10);
const directory = mkdtempSync(join(tmpdir(), "provium-bench-"));
const without = (floor: Floor, word: string): Floor => ({
  ...floor,
  cmdline: floor.cmdline
    .split(" ")
    .filter((one) => one.split("=")[0] !== word)
    .join(" "),
});
const port = (n: number): string[] => ["-device", `pcie-root-port,id=port${n},chassis=${n},bus=pcie.0`];

try {
  const { best } = await prepareFloor(join(directory, "floor"));
  const bzImage = process.env.BZIMAGE;
  const variations: Readonly<Record<string, Floor>> = {
    best,
    "with -cpu max as it is": { ...best, cpu: "max" },
    "without noreplace-smp": without(best, "noreplace-smp"),
    "without nolapic_timer": without(best, "nolapic_timer"),
    "without tsc_early_khz": without(best, "tsc_early_khz"),
    "without no_timer_check": without(best, "no_timer_check"),
    "without initcall_blacklist": without(best, "initcall_blacklist"),
    "without cryptomgr.notests": without(best, "cryptomgr.notests"),
    "without quiet": without(best, "quiet"),
    "with SMM": { ...best, machine: best.machine.replace(",smm=off", "") },
    "with a PC's devices": { ...best, machine: "q35" },
    "with qboot instead of SeaBIOS": { ...best, extra: ["-bios", "qboot.rom"] },
    "with 4 pcie-root-ports": { ...best, extra: [1, 2, 3, 4].flatMap(port) },
    "with 1 GiB": { ...best, memory: "1G" },
    ...(bzImage === undefined ? {} : { "with the bzImage": { ...best, kernel: bzImage } }),
  };
  const times = new Map<string, number[]>(Object.keys(variations).map((name) => [name, []]));
  await bootFloor(best);
  for (let round = 0; round < rounds; round++)
    for (const [name, floor] of Object.entries(variations)) times.get(name)!.push(await bootFloor(floor));
  const base = times.get("best")!;
  for (const [name, values] of times) {
    const middle = median(values) - median(base);
    const least = Math.min(...values) - Math.min(...base);
    console.log(
      `${name.padEnd(32)} ${median(values).toFixed(3)} s ${middle >= 0 ? "+" : ""}${middle.toFixed(3)}   minimum ${Math.min(...values).toFixed(3)} ${least >= 0 ? "+" : ""}${least.toFixed(3)}`,
    );
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
}

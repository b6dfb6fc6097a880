/**
 * Calls and bulk data over the channel, each next to its floor.
 * `bun tests/bench/channel/run.ts [local|qemu] [CALLS]`; ACCEL=kvm where that works, CPUS=n of the machine (1).
 */

import { mkdtempSync, rmSync } from "node:fs";
import { measureLocal } from "./local.ts";
import { table } from "./measure.ts";
import { measureQemu } from "./qemu.ts";

const kinds = process.argv.slice(2).filter((word) => word === "local" || word === "qemu");
const calls = Number(process.argv.find((word) => /^\d+$/.test(word)) ?? 2000);
// In memory: a disk would be measured otherwise.
const directory = mkdtempSync("/dev/shm/provium-bench-");
try {
  if (kinds.length === 0 || kinds.includes("qemu")) {
    const accel = process.env.ACCEL === "kvm" ? "kvm" : "tcg";
    console.log(`in a virtual machine (${accel}), over virtio-serial:`);
    console.log(table(await measureQemu(directory, calls, accel)));
  }
  if (kinds.length === 0 || kinds.includes("local")) {
    console.log("on the local VMM, over a socket pair (a floor that copies once; no bound is meant for it):");
    console.log(table(measureLocal(directory, calls)));
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
}

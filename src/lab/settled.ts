/**
 * When a guest has come to rest after its boot: its agent answers while the rest of user space still starts, some
 * hundred milliseconds of work on an emulated CPU.
 */

import { after, monotonic, type Op, sleep } from "../sys/op.ts";
import type { Machine } from "./ports.ts";

const LOOK_MS = 50;
/** So many looks in a row must find it idle: a process that sleeps for a moment has more to do. */
const LOOKS = 2;
/** The kernel counts in ticks of 10 ms. */
const IDLE_MS = 10;
/** A guest that has always something to do is not waited for. */
const PATIENCE_MS = 1_000;

/** Waits until the machine has used next to no CPU for a while, within bounds. */
export function* settled(machine: Machine): Op<void> {
  const deadline = after(PATIENCE_MS);
  const used: number[] = [];
  while (monotonic() < deadline) {
    const now = machine.cpuMs?.();
    if (now === undefined) return;
    used.push(now);
    const before = used.at(-1 - LOOKS);
    if (before !== undefined && now - before <= IDLE_MS) return;
    yield* sleep(LOOK_MS);
  }
}

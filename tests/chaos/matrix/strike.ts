/** When a fault comes: once the phase has begun, and before it is over. */

import { find, inject, type Scene } from "./faults.ts";
import type { Cell } from "./table.ts";
import { until } from "./until.ts";

/** Into the middle of what takes two seconds; elsewhere as early as can be. */
const WORK_MS = 500;
/** A guest begins its fault half a second after the phase began. */
const GUEST_IDLE_MS = 3000;
/** By when a process has to be there that a phase begins with. */
const PROCESS_MS = 30_000;

const GONE = /ESRCH|ENOENT|(pidfd_open|pidfd_getfd|prlimit)\(/;

/** Waits for the moment and brings the fault about. False: the phase was over before. `over` says whether it is. */
export const strike = async (cell: Cell, scene: Scene, over: () => boolean): Promise<boolean> => {
  const { victim, fault, phase, stage } = cell;
  if (stage === "guest") {
    // The guest does it, and the test claims that it did.
    if (phase === "idle") await Bun.sleep(GUEST_IDLE_MS);
    return true;
  }
  if (phase === "call" || phase === "stream" || phase === "build") await Bun.sleep(WORK_MS);
  for (;;) {
    let target = find(victim, scene);
    await until(() => {
      target ??= find(victim, scene);
      return target !== undefined || over();
    }, PROCESS_MS);
    if (target === undefined || over()) return false;
    try {
      scene.note();
      await inject(fault, victim, target, scene);
      return true;
    } catch (error) {
      // It ended in that very moment; where the phase goes on there will be another.
      if (!GONE.test(String(error))) throw error;
      await Bun.sleep(1);
    }
  }
};

/** What a run does about the load of this host: reads its pressure, and merges pages of machines when asked to. */

import type { Surroundings } from "../dispatch/dispatcher.ts";
import { tuneKsm } from "../dispatch/ksm.ts";
import { readPressure } from "../dispatch/pressure.ts";
import type { RunOptions } from "./options.ts";

export interface HostPressure extends Disposable {
  /** Absent where nothing is to be held back. */
  readonly pressure: Surroundings["pressure"];
}

/** `say` gets what is worth saying, once. Machines of the local VMM press nobody. */
export const hostPressure = (
  options: Pick<RunOptions, "vmm" | "ksm" | "pressure">,
  say: (text: string) => void,
): HostPressure => {
  if (options.vmm === "local") return { pressure: undefined, [Symbol.dispose]: () => {} };
  const ksm = options.ksm ? tuneKsm() : undefined;
  if (ksm !== undefined) say(ksm.notice);
  const told = readPressure() !== undefined;
  if (!told)
    say("this kernel does not account for pressure (/proc/pressure): files start as the pool allows");
  return {
    pressure: told ? { read: readPressure, limits: options.pressure } : undefined,
    [Symbol.dispose]: () => ksm?.restore(),
  };
};

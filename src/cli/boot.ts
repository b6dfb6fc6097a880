/** Kernel and initramfs for the machines of a run. */

import type { Surroundings } from "../dispatch/dispatcher.ts";
import { HostError } from "../errors/errors.ts";

export interface BootHost {
  readonly assets: { readonly agent: string; readonly wrapper: string; readonly helper: string };
  readonly directory: string;
  readonly environment: NodeJS.ProcessEnv;
}

export const bootService =
  (_host: BootHost): Surroundings["boot"] =>
  () => {
    throw new HostError("no boot");
  };

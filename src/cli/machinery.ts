/** What a run finds out about this host before its first machine boots. */

import { readFileSync } from "node:fs";
import { dirname } from "node:path";
import { assetCache } from "../assets/extract.ts";
import { type Machinery, settleMachinery } from "../dispatch/host.ts";
import type { RunDirectory } from "../sys/directory.ts";
import type { AccelerationHost } from "../vmm/accel.ts";
import type { RunOptions } from "./options.ts";

/** Where things are kept from run to run; the run's own directory for a user without a home. */
export const cacheDirectory = (environment: NodeJS.ProcessEnv, directory: RunDirectory): string => {
  const assets = assetCache(environment);
  return assets === undefined ? directory.path : dirname(assets);
};

const bootId = (): string => {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return "unknown";
  }
};

/** The host as the acceleration probe sees it. */
export const accelerationHost = (
  environment: NodeJS.ProcessEnv,
  cacheDir: string,
  helper: string,
): AccelerationHost => ({ cacheDir, bootId: bootId(), env: environment, helper });

/** Acceleration and channel of the run; the local VMM needs neither. Throws `HostError`. */
export const machineryOf = (options: RunOptions, host: AccelerationHost): Machinery =>
  options.vmm === "local"
    ? { accel: "tcg", transport: options.transport === "vsock" ? "vsock" : "serial", notices: [] }
    : settleMachinery(options.accel, options.transport, host);

/** What a run finds out about this host before its first machine boots. */

import { accessSync, constants, mkdirSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { assetCache } from "../assets/extract.ts";
import { type Machinery, settleMachinery } from "../dispatch/host.ts";
import { foreignHand } from "../sys/custody.ts";
import type { RunDirectory } from "../sys/directory.ts";
import type { Identity } from "../sys/identity.ts";
import type { AccelerationHost } from "../vmm/accel.ts";
import type { RunOptions } from "./options.ts";

/** Where things are kept from run to run; the run's own directory where there is no cache that we, and only we, may write to. */
export const cacheDirectory = (environment: NodeJS.ProcessEnv, directory: RunDirectory): string => {
  const assets = assetCache(environment);
  if (assets === undefined) return directory.path;
  const cache = dirname(assets);
  try {
    mkdirSync(cache, { recursive: true, mode: 0o700 });
    accessSync(cache, constants.W_OK);
    return foreignHand(cache) === undefined ? cache : directory.path;
  } catch {
    return directory.path;
  }
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
  user?: Identity,
): AccelerationHost => ({ cacheDir, bootId: bootId(), env: environment, helper, user });

/** Acceleration and channel of the run; the local VMM needs neither. Throws `HostError`. */
export const machineryOf = (options: RunOptions, host: AccelerationHost): Machinery =>
  options.vmm === "local"
    ? { accel: "tcg", transport: options.transport === "vsock" ? "vsock" : "serial", notices: [] }
    : settleMachinery(options.accel, options.transport, host);

/** `--network`: which backend carries the frames of a test file. Settled before anything is attached. */

import { HostError } from "../errors/errors.ts";
import type { Op } from "../sys/op.ts";
import type { Backend } from "./backend.ts";
import { KernelBackend } from "./kernel.ts";
import { probeFeatures } from "./kernel-features.ts";
import { Namespace } from "./namespace.ts";
import { type ToolHost, toolHost } from "./network-tools.ts";
import { openSwitch } from "./switch.ts";

export type NetworkWish = "auto" | "kernel" | "user";

/** Without these no frame passes at all. */
const ESSENTIAL = ["tun", "bridge"] as const;

/** What an earlier file of this process has found out: the kernel lacks something, so `auto` takes the switch. */
let autoNeedsSwitch = false;

const kernel = function* (wish: NetworkWish, host: ToolHost): Op<Backend | undefined> {
  const namespace = yield* Namespace.open(host);
  try {
    const features = yield* probeFeatures(namespace);
    const [lacking] = ESSENTIAL.filter((feature) => !features.has(feature));
    if (wish === "kernel" && lacking !== undefined) throw features.refusal(lacking, "bridges need");
    if (wish === "auto" && features.missing.length > 0) {
      namespace.close();
      return undefined;
    }
    const backend = new KernelBackend(namespace, features);
    yield* backend.start();
    return backend;
  } catch (error) {
    namespace.close();
    throw error;
  }
};

/**
 * Opens the backend. `auto` takes the kernel only where it can do everything that a test may come to ask for, else
 * the userland switch, which always can.
 */
export const openBackend = function* (wish: NetworkWish, host: ToolHost): Op<Backend> {
  const own = toolHost(host);
  if (wish === "user" || (wish === "auto" && autoNeedsSwitch)) return yield* openSwitch(own);
  try {
    const backend = yield* kernel(wish, own);
    if (backend !== undefined) return backend;
  } catch (error) {
    if (wish === "kernel" || !(error instanceof HostError)) throw error;
  }
  autoNeedsSwitch = true;
  return yield* openSwitch(own);
};

/** Which way packets leave the test's network. */

import { HostError } from "../errors/errors.ts";
import type { Uplink, UplinkWay } from "../lab/network-host.ts";
import type { Subnet } from "../lab/subnet.ts";
import type { Op } from "../sys/op.ts";
import type { BackendBridge } from "./backend.ts";
import { KernelBridge } from "./kernel.ts";
import { hostFilters, masqueradeRefusal, openMasquerade } from "./masquerade.ts";
import type { ToolHost } from "./network-tools.ts";
import { openUserUplink, type UserUplinkHost } from "./user-uplink.ts";

/**
 * Opens the way that is asked for. Without one: through the host's kernel where that can be relied on, else through
 * QEMU's user networking, which works everywhere.
 */
export const openUplink = function* (
  bridge: BackendBridge,
  subnet: Subnet,
  way: UplinkWay | undefined,
  host: ToolHost & UserUplinkHost,
): Op<Uplink> {
  if (way === "user") return yield* openUserUplink(bridge, subnet, host);
  const refusal = masqueradeRefusal(bridge);
  if (way === "masquerade" && refusal !== undefined)
    throw new HostError(`bridge:enable_uplink("masquerade"): ${refusal.why}`, { hint: refusal.hint });
  if (!(bridge instanceof KernelBridge) || refusal !== undefined)
    return yield* openUserUplink(bridge, subnet, host);
  if (way === "masquerade") return yield* openMasquerade(bridge, subnet, host);
  try {
    if (!(yield* hostFilters(host))) return yield* openMasquerade(bridge, subnet, host);
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
  }
  return yield* openUserUplink(bridge, subnet, host);
};

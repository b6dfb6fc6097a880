/** What the executable carries for guests: programs and a default guest, of this host's architecture or another. */

import { HostError } from "../errors/errors.ts";
import { type Architecture, HOST_ARCHITECTURE } from "../sys/architecture.ts";
import { readAsset } from "./embedded.ts";

/** The name of an asset for guests of an architecture: `agent`, `guest/manifest`. */
export const guestAssetName = (name: string, architecture: Architecture): string => {
  if (architecture === HOST_ARCHITECTURE) return name;
  const [room, ...rest] = name.split("/");
  return [`${room}-${architecture}`, ...rest].join("/");
};

export const guestAsset = (name: string, architecture: Architecture): Uint8Array | undefined =>
  readAsset(guestAssetName(name, architecture));

/** Agent and wrapper for guests of an architecture. Throws HostError where this build carries none. */
export const guestPrograms = (
  architecture: Architecture,
): { readonly agent: Uint8Array; readonly wrapper: Uint8Array } => {
  const agent = guestAsset("agent", architecture);
  const wrapper = guestAsset("wrapper", architecture);
  if (agent !== undefined && wrapper !== undefined) return { agent, wrapper };
  throw new HostError(`this executable was built without an agent for ${architecture} guests`, {
    hint: "build it with `make build GUEST_ARM64=1`, or take an executable of a release (make dist)",
  });
};

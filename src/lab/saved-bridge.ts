/** A bridge in the index of a saved lab. */

import { ApiError } from "../errors/errors.ts";
import type { BridgeOptions } from "./bridge-options.ts";
import type { SavedConditions } from "./conditions.ts";
import type { SavedNic } from "./link.ts";

export interface SavedBridge {
  readonly name: string;
  readonly options: Omit<BridgeOptions, "subnet" | "seed"> & {
    readonly subnet: string;
    /** Decimal. */
    readonly seed: string;
  };
  readonly conditions: SavedConditions;
  /** Names of the bridges that it routes to. */
  readonly routes: readonly string[];
  readonly uplink: boolean;
}

/** Whether it has the shape that `Bridge.saved` writes. */
export const isSavedBridge = (value: unknown): value is SavedBridge => {
  const { name, options, conditions, routes } = (value ?? {}) as Record<string, unknown>;
  const { subnet, seed } = (options ?? {}) as Record<string, unknown>;
  const { directed, cuts, isolated } = (conditions ?? {}) as Record<string, unknown>;
  return (
    [name, subnet, seed].every((text) => typeof text === "string") &&
    [directed, cuts, isolated, routes].every(Array.isArray)
  );
};

/** Throws unless a saved VM can go on on the bridge, beside the others there. */
export const checkPlace = (
  bridge: { readonly label: string; readonly network4: string },
  others: readonly {
    readonly vm: { readonly name: string };
    readonly mac: string;
    readonly host: number | undefined;
  }[],
  vm: { readonly label: string },
  nic: SavedNic,
): void => {
  const refuse = (why: string, hint: string): never => {
    throw new ApiError(`${vm.label} cannot go on on ${bridge.label}: ${why}`, { hint });
  };
  if (nic.host === undefined && others.every(({ mac }) => mac !== nic.mac)) return;
  if (nic.subnet !== bridge.network4)
    refuse(
      `its addresses are of ${nic.subnet}, and the bridge has ${bridge.network4}`,
      `Make the bridge with {subnet = "${nic.subnet}"}.`,
    );
  const twin = others.find((other) => other.mac === nic.mac || other.host === nic.host);
  if (twin !== undefined)
    refuse(
      `vm \`${twin.vm.name}\` there has its MAC address or its IP address`,
      "Restore a copy into a lab with bridges of its own: lab:restore.",
    );
};

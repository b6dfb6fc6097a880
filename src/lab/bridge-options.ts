/** Options of a bridge, parsed and checked. Pure. */

import { createHash } from "node:crypto";
import { ApiError } from "../errors/errors.ts";
import { suggestion } from "../errors/suggest.ts";
import type { OptionTable } from "./options.ts";
import { described } from "./quantities.ts";

export interface BridgeOptions {
  /** "10.1.2.0/24"; undefined: the next free one. */
  readonly subnet: string | undefined;
  /** fixed: the agent sets addresses; dhcp: a responder gives the same ones; none: guests are left alone. */
  readonly addressing: "fixed" | "dhcp" | "none";
  readonly mtu: number;
  readonly seed: bigint;
}

const KEYS = ["subnet", "addressing", "mtu", "dhcp", "seed"] as const;
const LEAST_MTU = 576;
const LARGEST_MTU = 9216;
export const DEFAULT_MTU = 1500;

const must = (key: string, wanted: string, value: unknown): never => {
  throw new ApiError(`bridge: opts.${key} must be ${wanted}, got ${described(value)}`);
};

const textOf = (value: unknown): unknown =>
  value instanceof Uint8Array ? new TextDecoder().decode(value) : value;

/** Without a seed of its own a bridge draws as its name says: the same in every run. */
const seedOf = (name: string): bigint => createHash("sha256").update(name).digest().readBigUInt64LE();

/** Throws ApiError naming the key, the value and what is allowed. */
export const parseBridgeOptions = (name: string, table: OptionTable | undefined): BridgeOptions => {
  for (const key of table?.keys() ?? [])
    if (!(KEYS as readonly unknown[]).includes(key))
      throw new ApiError(`bridge: opts: unknown key \`${key}\` (${suggestion(String(key), KEYS)})`);
  const get = (key: (typeof KEYS)[number]): unknown => textOf(table?.get(key));
  const subnet = get("subnet");
  if (subnet !== undefined && typeof subnet !== "string")
    must("subnet", 'a network such as "10.1.2.0/24"', subnet);
  const addressing = get("addressing") ?? "auto";
  if (addressing !== "auto" && addressing !== "none") must("addressing", '"auto" or "none"', addressing);
  const dhcp = get("dhcp") ?? false;
  if (typeof dhcp !== "boolean") must("dhcp", "a boolean", dhcp);
  if (dhcp === true && addressing === "none")
    throw new ApiError('bridge: opts.dhcp = true and opts.addressing = "none" exclude each other');
  const mtu = get("mtu") ?? DEFAULT_MTU;
  if (typeof mtu !== "number" || !Number.isInteger(mtu) || mtu < LEAST_MTU || mtu > LARGEST_MTU)
    return must("mtu", `an integer from ${LEAST_MTU} to ${LARGEST_MTU}`, mtu);
  const seed = get("seed") ?? seedOf(name);
  if (typeof seed !== "bigint" && !(typeof seed === "number" && Number.isSafeInteger(seed)))
    return must("seed", "an integer", seed);
  return {
    subnet: subnet as string | undefined,
    addressing: dhcp === true ? "dhcp" : addressing === "none" ? "none" : "fixed",
    mtu,
    seed: BigInt.asUintN(64, BigInt(seed)),
  };
};

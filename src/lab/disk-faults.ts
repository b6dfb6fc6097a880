/** How a disk can be told to misbehave: the modes, their options, and the reading of both. Pure. */

import { ApiError } from "../errors/errors.ts";
import { suggestion } from "../errors/suggest.ts";
import { described, duration } from "./quantities.ts";

/** In the order of their numbers on the wire to the disk's process. */
export const FAULT_MODES = [
  "eio_read",
  "eio_write",
  "slow",
  "enospc",
  "torn_write",
  "lost_write",
  "corrupt_read",
] as const;
export type FaultMode = (typeof FAULT_MODES)[number];

/** What a flush does about lost writes: stores them, fails, or says nothing. Numbered as FAULT_MODES are. */
export const FLUSH_RULES = ["store", "error", "ignore"] as const;
export type FlushRule = (typeof FLUSH_RULES)[number];

export const SECTOR_BYTES = 512;

export interface DiskFault {
  readonly mode: FaultMode;
  /** First and last sector concerned. Absent: all, also of a disk that grows. */
  readonly sectors?: readonly [first: number, last: number] | undefined;
  /** How often it strikes. Absent: for ever. */
  readonly times?: number | undefined;
  /** Of each request that it meets: above 0, up to 1. */
  readonly probability: number;
  readonly seed: bigint;
  /** `slow`: how long a request waits. */
  readonly delayMs: number;
  /** `torn_write`: so many sectors of a write arrive. */
  readonly keep: number;
  /** `corrupt_read`: so many bits of a read are flipped. */
  readonly bits: number;
  /** `lost_write` */
  readonly onFlush: FlushRule;
}

const SLOW_MS = 50;
const LONGEST_DELAY_MS = 3_600_000;
/** Of one read. The disk's process flips them one by one while everybody waits. */
const MOST_BITS = 65_536;

const COMMON = ["sectors", "times", "probability", "seed"] as const;
const OWN: Readonly<Record<FaultMode, readonly string[]>> = {
  eio_read: [],
  eio_write: [],
  slow: ["delay", "ms"],
  enospc: [],
  torn_write: ["keep"],
  lost_write: ["on_flush"],
  corrupt_read: ["bits"],
};

type Options = ReadonlyMap<string | number, unknown>;

/** The mode of that name. ApiError that lists the valid ones. */
export const faultMode = (name: string, call = "disk:fault_inject"): FaultMode => {
  const mode = FAULT_MODES.find((known) => known === name);
  if (mode === undefined)
    throw new ApiError(`${call}: unknown mode \`${name}\` (valid: ${FAULT_MODES.join(", ")})`);
  return mode;
};

/** Reads mode and options. ApiError naming the key, the value and what is allowed. */
export const parseFault = (name: string, options: Options | undefined): DiskFault => {
  const call = "disk:fault_inject";
  const mode = faultMode(name);
  const known = [...COMMON, ...OWN[mode]];
  for (const key of options?.keys() ?? []) {
    if (typeof key === "string" && known.includes(key)) continue;
    throw new ApiError(`${call}: ${mode} has no option \`${key}\` (${suggestion(String(key), known)})`);
  }
  const whole = (key: string, standard: number, least: number, most = Number.MAX_SAFE_INTEGER): number => {
    const value = options?.get(key);
    if (value === undefined) return standard;
    if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= most) return value;
    const end = most === Number.MAX_SAFE_INTEGER ? "on" : `to ${most}`;
    throw new ApiError(
      `${call}: opts.${key} must be an integer from ${least} ${end}, got ${described(value)}`,
    );
  };
  return {
    mode,
    sectors: sectorsOf(options?.get("sectors"), call),
    times: options?.has("times") === true ? whole("times", 1, 1) : undefined,
    probability: probabilityOf(options?.get("probability"), call),
    seed: seedOf(options?.get("seed"), call),
    delayMs: delayOf(options, call),
    keep: whole("keep", 1, 0),
    bits: whole("bits", 1, 1, MOST_BITS),
    onFlush: flushRuleOf(options?.get("on_flush"), call),
  };
};

/** Whether two faults are about the same requests, so that the later one replaces the earlier one. */
export const sameTarget = (a: DiskFault, b: DiskFault): boolean =>
  a.mode === b.mode && a.sectors?.[0] === b.sectors?.[0] && a.sectors?.[1] === b.sectors?.[1];

const sectorsOf = (value: unknown, call: string): readonly [number, number] | undefined => {
  if (value === undefined) return undefined;
  const number = (one: unknown): one is number =>
    typeof one === "number" && Number.isSafeInteger(one) && one >= 0;
  if (number(value)) return [value, value];
  if (value instanceof Map && value.size === 2) {
    const first: unknown = value.get(1);
    const last: unknown = value.get(2);
    if (number(first) && number(last)) {
      if (first <= last) return [first, last];
      throw new ApiError(`${call}: opts.sectors: the first sector, ${first}, lies behind the last, ${last}`);
    }
  }
  throw new ApiError(`${call}: opts.sectors must be a sector or {first, last}, got ${described(value)}`);
};

const probabilityOf = (value: unknown, call: string): number => {
  if (value === undefined) return 1;
  if (typeof value === "number" && value > 0 && value <= 1) return value;
  throw new ApiError(`${call}: opts.probability must be above 0 and at most 1, got ${described(value)}`);
};

const seedOf = (value: unknown, call: string): bigint => {
  if (value === undefined) return 0n;
  if (typeof value === "bigint" || (typeof value === "number" && Number.isSafeInteger(value)))
    return BigInt.asUintN(64, BigInt(value));
  throw new ApiError(`${call}: opts.seed must be an integer, got ${described(value)}`);
};

const delayOf = (options: Options | undefined, call: string): number => {
  const ms = options?.get("ms");
  if (ms !== undefined && options?.get("delay") !== undefined)
    throw new ApiError(`${call}: opts.delay and opts.ms say the same thing; give one of them`);
  let delay = SLOW_MS;
  if (options?.get("delay") !== undefined) delay = duration(options.get("delay"), `${call}: opts.delay`);
  else if (typeof ms === "number" && ms >= 0) delay = ms;
  else if (ms !== undefined)
    throw new ApiError(`${call}: opts.ms must be a number of milliseconds, got ${described(ms)}`);
  if (delay > LONGEST_DELAY_MS)
    throw new ApiError(`${call}: a delay of ${delay / 1000} s is more than an hour`);
  return delay;
};

const flushRuleOf = (value: unknown, call: string): FlushRule => {
  if (value === undefined) return "store";
  const name = value instanceof Uint8Array ? new TextDecoder().decode(value) : value;
  const rule = FLUSH_RULES.find((known) => known === name);
  if (rule === undefined)
    throw new ApiError(
      `${call}: opts.on_flush must be one of ${FLUSH_RULES.join(", ")}, got ${described(value)}`,
    );
  return rule;
};

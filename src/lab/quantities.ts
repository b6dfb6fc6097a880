/** Durations and memory sizes as tests write them: numbers or texts with a unit. */

import { DURATION_FORMS, parseDuration, parseSize } from "../config/units.ts";
import { ApiError } from "../errors/errors.ts";

export type Flavour = "classic" | "lab";

const decoder = new TextDecoder();

/** Names a received value in an error: `string "5x"`, `number -1`, `table`. */
export const described = (value: unknown): string => {
  if (value === undefined || value === null) return "nil";
  if (value instanceof Uint8Array) return described(decoder.decode(value));
  switch (typeof value) {
    case "string":
      return `string "${value.length > 60 ? `${value.slice(0, 57)}...` : value}"`;
    case "number":
    case "bigint":
      return `number ${value}`;
    case "boolean":
      return `boolean ${value}`;
    case "function":
      return "function";
    default:
      return typeof value === "object" && "type" in value && typeof value.type === "string"
        ? value.type
        : "table";
  }
};

export interface DurationRules {
  readonly negative?: boolean;
}

/**
 * Milliseconds of a duration: seconds as a number, or text such as "500ms", "5s", "2m", "1h".
 * `what` names it in the error: "run: opts.timeout". NaN, infinity and (by default) negative values are refused.
 */
export const duration = (value: unknown, what: string, rules: DurationRules = {}): number => {
  const refuse = (why: string): never => {
    throw new ApiError(`${what} must be a duration (number of seconds or "500ms"), ${why}`);
  };
  const plain = value instanceof Uint8Array ? decoder.decode(value) : value;
  // The sign is taken off first: the units know no negative durations.
  const negative = typeof plain === "string" ? /^\s*-/.test(plain) : Number(plain) < 0;
  const ms = parseDuration(unsigned(plain));
  if (ms === undefined) {
    if (typeof plain !== "string") return refuse(`got ${described(value)}`);
    throw new ApiError(
      `bad timeout string ${JSON.stringify(plain)}: ${what} must be a duration (${DURATION_FORMS})`,
    );
  }
  if (negative && rules.negative !== true) return refuse(`got ${described(plain)}, which is negative`);
  return negative ? -ms : ms;
};

const unsigned = (value: unknown): unknown => {
  if (typeof value === "string") return value.replace(/^(\s*)[-+]/, "$1");
  if (typeof value === "number") return Math.abs(value);
  return typeof value === "bigint" && value < 0n ? -value : value;
};

/**
 * Bytes of a memory size: a number of bytes, or text with K, M, G or T. A text of digits alone is MiB in the
 * classic API (as QEMU reads it) and bytes in the lab API.
 */
export const memorySize = (value: unknown, flavour: Flavour, what: string): number => {
  const refuse = (): never => {
    throw new ApiError(`${what} must be a size (number of bytes or "512M", "2G"), got ${described(value)}`);
  };
  const plain = value instanceof Uint8Array ? decoder.decode(value) : value;
  const bare = flavour === "classic" && typeof plain === "string" && /^\s*\d+\s*$/.test(plain);
  return parseSize(bare ? `${plain}M` : plain) ?? refuse();
};

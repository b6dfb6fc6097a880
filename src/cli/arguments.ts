/**
 * Reads command lines strictly: an unknown flag, a missing or a surplus value is an error with a suggestion. What is
 * left goes through citty, which knows types and short forms.
 */

import { parseArgs } from "citty";
import { ACCELS } from "../config/load.ts";
import { DURATION_FORMS, parseDuration, parseSize, SIZE_FORMS } from "../config/units.ts";
import { UsageError } from "../errors/errors.ts";
import { nearest } from "../errors/suggest.ts";
import { cittyArgs, type Flags } from "./flags.ts";

export interface Arguments {
  readonly positionals: readonly string[];
  /** Words after a lone `--`. */
  readonly rest: readonly string[];
  /** Both: for commands to which `--` says only that no flag follows. */
  readonly words: readonly string[];
  has(flag: string): boolean;
  text(flag: string): string | undefined;
  /** Every value of a repeatable flag. */
  texts(flag: string): readonly string[];
}

const byShort = (flags: Flags, letter: string): string | undefined =>
  Object.keys(flags).find((name) => flags[name]?.alias === letter);

const unknown = (written: string, flags: Flags): UsageError => {
  const guess = nearest(written.replace(/^-+/, ""), Object.keys(flags));
  return new UsageError(`unknown flag ${written}`, {
    hint: guess === undefined ? "`provium --help` lists the flags" : `did you mean --${guess}?`,
  });
};

interface Split {
  /** For citty: flags with one value. */
  readonly plain: string[];
  readonly positionals: string[];
  readonly rest: string[];
  readonly lists: Map<string, string[]>;
  /** Flags without a value; citty would take `--no-build` for the opposite of a flag `build`. */
  readonly given: Set<string>;
}

/** Takes a command line apart and refuses what no flag explains. */
const split = (raw: readonly string[], flags: Flags): Split => {
  const found: Split = { plain: [], positionals: [], rest: [], lists: new Map(), given: new Set() };
  const words = [...raw];
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word === "--") {
      found.rest.push(...words);
      break;
    }
    if (!word.startsWith("-") || word === "-") {
      found.positionals.push(word);
      continue;
    }
    const [written, inline] = word.includes("=")
      ? [word.slice(0, word.indexOf("=")), word.slice(word.indexOf("=") + 1)]
      : [word, undefined];
    if (!written.startsWith("--") && written.length > 2) {
      // -vq is -v -q; -j4 is not a form of ours.
      words.unshift(...[...word.slice(1)].map((letter) => `-${letter}`));
      continue;
    }
    const name = written.startsWith("--") ? written.slice(2) : byShort(flags, written.slice(1));
    const flag = name === undefined || !Object.hasOwn(flags, name) ? undefined : flags[name];
    if (name === undefined || flag === undefined) throw unknown(written, flags);
    if (flag.type === "boolean") {
      if (inline !== undefined) throw new UsageError(`--${name} takes no value`);
      found.given.add(name);
      continue;
    }
    const value = inline ?? words.shift();
    if (value === undefined)
      throw new UsageError(`--${name} needs a value`, {
        hint: `--${name} ${flag.valueHint ?? flag.options?.join("|")}`,
      });
    if (inline === undefined && value.startsWith("-") && value !== "-")
      throw new UsageError(`--${name} needs a value; \`${value}\` looks like a flag`, {
        hint: `if it is the value: --${name}=${value}`,
      });
    if (value === "" && !flag.mayBeEmpty) throw new UsageError(`--${name} needs a value; it is empty`);
    if (flag.options !== undefined && !flag.options.includes(value))
      throw new UsageError(`--${name} must be ${flag.options.join(" or ")}; it is \`${value}\``);
    if (flag.repeatable) found.lists.set(name, [...(found.lists.get(name) ?? []), value]);
    else found.plain.push(`--${name}=${value}`);
  }
  return found;
};

/** A command line by the flags that its command has. Throws `UsageError`. */
export const readArguments = (raw: readonly string[], flags: Flags): Arguments => {
  const { plain, positionals, rest, lists, given } = split(raw, flags);
  const parsed = parseArgs(plain, cittyArgs(flags)) as Readonly<Record<string, unknown>>;
  return {
    positionals,
    rest,
    words: [...positionals, ...rest],
    has: (flag) => given.has(flag),
    text: (flag) => (typeof parsed[flag] === "string" ? (parsed[flag] as string) : undefined),
    texts: (flag) => lists.get(flag) ?? [],
  };
};

/** Milliseconds of a duration flag. */
export const durationFlag = (args: Arguments, flag: string): number | undefined => {
  const text = args.text(flag);
  if (text === undefined) return undefined;
  const ms = parseDuration(text);
  if (ms === undefined) throw new UsageError(`--${flag} must be ${DURATION_FORMS}; it is \`${text}\``);
  return ms;
};

/** Bytes of a size flag. */
export const sizeFlag = (args: Arguments, flag: string): number | undefined => {
  const text = args.text(flag);
  if (text === undefined) return undefined;
  const bytes = parseSize(text);
  if (bytes === undefined || bytes === 0)
    throw new UsageError(`--${flag} must be ${SIZE_FORMS}; it is \`${text}\``);
  return bytes;
};

/** A whole number of at least `least`. */
export const countFlag = (args: Arguments, flag: string, least = 1): number | undefined => {
  const text = args.text(flag);
  if (text === undefined) return undefined;
  const count = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(count) || count < least)
    throw new UsageError(`--${flag} must be a whole number of at least ${least}; it is \`${text}\``);
  return count;
};

/** A number without sign and exponent; `what` says which ones are meant. */
const plainNumber = (flag: string, text: string, what: string): number => {
  if (!/^\d*\.?\d+$/.test(text)) throw new UsageError(`--${flag} must be ${what}; it is \`${text}\``);
  return Number(text);
};

/** A number; what lies beyond `least` or `greatest` counts as that. */
export const clampedFlag = (
  args: Arguments,
  flag: string,
  least: number,
  greatest: number,
): number | undefined => {
  const text = args.text(flag);
  if (text === undefined) return undefined;
  return Math.min(greatest, Math.max(least, plainNumber(flag, text, "a number such as 2 or 1.5")));
};

/** A number between `least` and `greatest`, both included. */
export const numberFlag = (
  args: Arguments,
  flag: string,
  least: number,
  greatest: number,
): number | undefined => {
  const text = args.text(flag);
  if (text === undefined) return undefined;
  const what = `a number from ${least} to ${greatest}`;
  const value = plainNumber(flag, text, what);
  if (value < least || value > greatest) throw new UsageError(`--${flag} must be ${what}; it is \`${text}\``);
  return value;
};

/** A 64-bit number. */
export const seedFlag = (args: Arguments): bigint | undefined => {
  const text = args.text("seed");
  if (text === undefined) return undefined;
  const seed = /^(\d+|0x[0-9a-f]+)$/i.test(text) ? BigInt(text) : undefined;
  if (seed === undefined || seed >= 2n ** 64n)
    throw new UsageError(`--seed must be a whole number below 2^64; it is \`${text}\``);
  return seed;
};

export type Accel = (typeof ACCELS)[number];

/** `PROVIUM_ACCEL`, checked like the flag. */
export const accelFromEnvironment = (environment: NodeJS.ProcessEnv): Accel | undefined => {
  const value = environment.PROVIUM_ACCEL;
  if (value === undefined || value === "") return undefined;
  if (!ACCELS.includes(value as Accel))
    throw new UsageError(`PROVIUM_ACCEL must be ${ACCELS.join(" or ")}; it is \`${value}\``);
  return value as Accel;
};

const NETWORKS = ["auto", "kernel", "user"] as const;
export type NetworkWish = (typeof NETWORKS)[number];

/** `PROVIUM_NETWORK`, checked like the flag. */
export const networkFromEnvironment = (environment: NodeJS.ProcessEnv): NetworkWish | undefined => {
  const value = environment.PROVIUM_NETWORK;
  if (value === undefined || value === "") return undefined;
  if (!NETWORKS.includes(value as NetworkWish))
    throw new UsageError(`PROVIUM_NETWORK must be ${NETWORKS.join(" or ")}; it is \`${value}\``);
  return value as NetworkWish;
};

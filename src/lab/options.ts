/**
 * Boot options: every shape that the two APIs allow, parsed into one plain record. Pure; host paths are made
 * absolute by a function of the caller, since the two flavours start from different directories.
 */

import { ApiError } from "../errors/errors.ts";
import { parseDisk } from "./disk-options.ts";
import {
  asText,
  flag,
  integer,
  isTable,
  isText,
  must,
  type OptionContext,
  type OptionTable,
  type OptionValue,
  only,
  text,
} from "./option-values.ts";
import type { DiskSpec, InjectedFile } from "./ports.ts";
import { duration, memorySize } from "./quantities.ts";

export type { OptionContext, OptionTable, OptionValue } from "./option-values.ts";

export interface BootOptions {
  readonly memoryBytes?: number;
  readonly cpus?: number;
  readonly files?: readonly InjectedFile[];
  readonly disks?: readonly DiskSpec[];
  readonly kernelCmdline?: string;
  readonly kernelCmdlineAppend?: string;
  readonly rngSeed?: bigint;
  /** Seconds since the epoch. */
  readonly initialTime?: number;
  /** Runs repeat: see docs/determinism.md. */
  readonly deterministic?: boolean;
  readonly bootTimeoutMs?: number;
}

/** The least memory that a Linux guest can do anything with; less is a forgotten unit. */
const LEAST_MEMORY = 16 * 2 ** 20;

/** Permission bits: an integer, or octal digits as text ("0755"), since Lua has no octal literals. */
export const permission = (value: unknown, what: string): number => {
  if (isText(value)) {
    const digits = asText(value);
    if (!/^0?o?[0-7]{1,4}$/.test(digits)) return must(what, 'permission bits (493 or "0755")', value);
    return Number.parseInt(digits.replace(/^0?o/, ""), 8);
  }
  return integer(value, what, 0, 0o7777);
};

const guestPath = (value: unknown, what: string): string => {
  const path = text(value, what);
  if (!path.startsWith("/") || path.endsWith("/") || path.split("/").includes(".."))
    return must(what, "an absolute guest path of a file", value);
  return path;
};

const FILE_KEYS = ["path", "content", "host", "mode", "perm"] as const;

const fileEntry = (value: unknown, what: string, context: OptionContext): InjectedFile => {
  if (!isTable(value)) return must(what, "a table {path, content or host, mode}", value);
  const positional = value.has(1);
  if (!positional) only(value, FILE_KEYS, what);
  // {path, content}: the lab manual writes the pair without keys too.
  const path = guestPath(value.get("path") ?? value.get(1), `${what}.path`);
  const content = value.get("content") ?? value.get(2);
  const host = value.get("host");
  if ((content === undefined) === (host === undefined))
    throw new ApiError(`${what} needs exactly one of content and host (file \`${path}\`)`);
  if (content !== undefined && !isText(content)) return must(`${what}.content`, "a string", content);
  const mode = value.get("mode") ?? value.get("perm");
  return {
    path,
    content:
      typeof content === "string" ? new TextEncoder().encode(content) : (content as Uint8Array | undefined),
    host: host === undefined ? undefined : context.resolve(text(host, `${what}.host`)),
    mode: mode === undefined ? undefined : permission(mode, `${what}.mode`),
  };
};

const files = (value: unknown, what: string, context: OptionContext): readonly InjectedFile[] => {
  if (!isTable(value)) return must(what, "a table of files", value);
  // Each entry decides for itself: a text key is a guest path (classic), an integer key a described file (lab).
  return [...value].map(([key, entry]) => {
    if (typeof key === "number") return fileEntry(entry, `${what}[${key}]`, context);
    const path = guestPath(key, `${what}: key`);
    if (isText(entry)) return { path, host: context.resolve(text(entry, `${what}["${key}"]`)) };
    if (!isTable(entry))
      return must(`${what}["${key}"]`, "a host path or a table {content or host, mode}", entry);
    return fileEntry(
      new Map<string | number, OptionValue>([...entry, ["path", path]]),
      `${what}["${key}"]`,
      context,
    );
  });
};

/** vda, vdb, … vdz, vdaa: the names that the guest's kernel gives to virtio disks in order. */
const diskName = (index: number): string => {
  let letters = "";
  for (let n = index + 1; n > 0; n = Math.floor((n - 1) / 26))
    letters = String.fromCharCode(97 + ((n - 1) % 26)) + letters;
  return `vd${letters}`;
};

const disks = (value: unknown, what: string, context: OptionContext): readonly DiskSpec[] => {
  if (!isTable(value)) return must(what, "an array of {path, format, readonly}", value);
  const seen = new Set<string>();
  return [...value].map(([key, entry], index) => {
    const where = `${what}[${key}]`;
    if (key !== index + 1) throw new ApiError(`${what} must be an array, found key ${key}`);
    if (!isTable(entry)) return must(where, "a table {path, format, readonly}", entry);
    const spec = parseDisk(entry, where, "path", diskName(index), context);
    if (spec.path === undefined && spec.sizeBytes === undefined)
      throw new ApiError(`${where} needs a path, or a size to have a temporary image`);
    if (seen.has(spec.id)) throw new ApiError(`${where}.id: \`${spec.id}\` is the id of an earlier disk`);
    seen.add(spec.id);
    return spec;
  });
};

type Parser = (value: OptionValue, what: string, context: OptionContext) => BootOptions;

/** The last second to which Linux lets its clock be set: what 63 bits of nanoseconds hold, less thirty years to run on. */
const LAST_SECOND = 8_277_292_035;

const clockTime = (value: unknown, what: string): number => {
  const n = typeof value === "bigint" ? Number(value) : value;
  return typeof n === "number" && n >= 0 && n <= LAST_SECOND
    ? n
    : must(what, `a finite number of seconds since the epoch, from 0 to ${LAST_SECOND} (year 2232)`, value);
};

const OPTIONS: Readonly<Record<string, Parser>> = {
  memory: (value, what, { flavour }) => {
    const memoryBytes = memorySize(value, flavour, what);
    if (memoryBytes < LEAST_MEMORY)
      throw new ApiError(`${what} must be at least 16M, got ${memoryBytes} bytes`, {
        hint: 'Numbers are bytes; write "512M" for 512 MiB.',
      });
    return { memoryBytes };
  },
  cpus: (value, what) => ({ cpus: integer(value, what, 1, 255) }),
  files: (value, what, context) => ({ files: files(value, what, context) }),
  disks: (value, what, context) => ({ disks: disks(value, what, context) }),
  kernel_cmdline: (value, what) => ({ kernelCmdline: text(value, what) }),
  kernel_cmdline_append: (value, what) => ({ kernelCmdlineAppend: text(value, what) }),
  rng_seed: (value, what) => {
    if (typeof value !== "bigint" && !(typeof value === "number" && Number.isSafeInteger(value)))
      return must(what, "an integer", value);
    return { rngSeed: BigInt.asUintN(64, BigInt(value)) };
  },
  initial_time: (value, what) => ({ initialTime: clockTime(value, what) }),
  deterministic: (value, what) => ({ deterministic: flag(value, what) }),
  boot_timeout: (value, what) => {
    const bootTimeoutMs = duration(value, what);
    return bootTimeoutMs > 0 ? { bootTimeoutMs } : must(what, "longer than zero", value);
  },
};
const ALIASES: Readonly<Record<string, string>> = { agent_timeout: "boot_timeout" };

/** Every key that boot options may have. */
export const BOOT_OPTION_KEYS: readonly string[] = [...Object.keys(OPTIONS), ...Object.keys(ALIASES)];

/** Parses the table given to `boot` or `lab:vm`. Throws ApiError naming the key, the value and what is allowed. */
export const parseBootOptions = (table: OptionTable | undefined, context: OptionContext): BootOptions => {
  let options: BootOptions = {};
  if (table === undefined) return options;
  only(table, BOOT_OPTION_KEYS, `${context.call}: opts`);
  for (const [alias, key] of Object.entries(ALIASES))
    if (table.has(alias) && table.has(key))
      throw new ApiError(
        `${context.call}: opts has both ${key} and ${alias}, which are two names of one option`,
      );
  for (const [key, value] of table) {
    const parser = OPTIONS[ALIASES[key] ?? key] as Parser;
    options = { ...options, ...parser(value, `${context.call}: opts.${key}`, context) };
  }
  return options;
};

/** `over` laid on `base`: single values are replaced, injected files add up and replace by guest path. */
export const mergeBootOptions = (base: BootOptions, over: BootOptions): BootOptions => {
  const byPath = new Map([...(base.files ?? []), ...(over.files ?? [])].map((file) => [file.path, file]));
  return { ...base, ...over, ...(byPath.size === 0 ? {} : { files: [...byPath.values()] }) };
};

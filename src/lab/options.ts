/**
 * Boot options: every shape that the two APIs allow, parsed into one plain record. Pure; host paths are made
 * absolute by a function of the caller, since the two flavours start from different directories.
 */

import { ApiError } from "../errors/errors.ts";
import { suggestion } from "../errors/suggest.ts";
import type { DiskSpec, InjectedFile } from "./ports.ts";
import { described, duration, type Flavour, memorySize } from "./quantities.ts";

/** A Lua value: strings are bytes, tables are maps with text or integer keys. */
export type OptionValue = boolean | number | bigint | string | Uint8Array | OptionTable | object;
export type OptionTable = ReadonlyMap<string | number, OptionValue>;

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
  readonly bootTimeoutMs?: number;
}

export interface OptionContext {
  /** Call that received them, for messages: "boot". */
  readonly call: string;
  readonly flavour: Flavour;
  /** Absolute form of a host path. */
  readonly resolve: (path: string) => string;
}

/** The least memory that a Linux guest can do anything with; less is a forgotten unit. */
const LEAST_MEMORY = 16 * 2 ** 20;

const decoder = new TextDecoder();
const isText = (value: unknown): value is string | Uint8Array =>
  typeof value === "string" || value instanceof Uint8Array;
const asText = (value: string | Uint8Array): string =>
  typeof value === "string" ? value : decoder.decode(value);
const isTable = (value: unknown): value is OptionTable => value instanceof Map;

const must = (what: string, wanted: string, value: unknown): never => {
  throw new ApiError(`${what} must be ${wanted}, got ${described(value)}`);
};

const text = (value: unknown, what: string): string => {
  if (!isText(value)) return must(what, "a string", value);
  const plain = asText(value);
  return plain.includes("\0") ? must(what, "a string without NUL bytes", value) : plain;
};

const flag = (value: unknown, what: string): boolean =>
  typeof value === "boolean" ? value : must(what, "a boolean", value);

const integer = (value: unknown, what: string, least: number, most: number): number => {
  const n = typeof value === "bigint" ? Number(value) : value;
  if (typeof n !== "number" || !Number.isInteger(n) || n < least || n > most)
    return must(what, `an integer from ${least} to ${most}`, value);
  return n;
};

/** Permission bits: an integer, or octal digits as text ("0755"), since Lua has no octal literals. */
export const permission = (value: unknown, what: string): number => {
  if (isText(value)) {
    const digits = asText(value);
    if (!/^0?o?[0-7]{1,4}$/.test(digits)) return must(what, 'permission bits (493 or "0755")', value);
    return Number.parseInt(digits.replace(/^0?o/, ""), 8);
  }
  return integer(value, what, 0, 0o7777);
};

const only = (table: OptionTable, known: readonly string[], what: string): void => {
  for (const key of table.keys())
    if (typeof key !== "string" || !known.includes(key))
      throw new ApiError(
        `${what}: unknown key ${typeof key === "string" ? `\`${key}\`` : `[${key}]`} (${suggestion(String(key), known)})`,
      );
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

const DISK_KEYS = ["path", "format", "readonly", "id"] as const;
const DISK_FORMATS = ["raw", "qcow2"] as const;

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
    only(entry, DISK_KEYS, where);
    if (!entry.has("path")) throw new ApiError(`${where} needs a path`);
    const format = entry.has("format") ? text(entry.get("format"), `${where}.format`) : "raw";
    const known = DISK_FORMATS.find((name) => name === format);
    if (known === undefined) return must(`${where}.format`, '"raw" or "qcow2"', format);
    const id = entry.has("id") ? text(entry.get("id"), `${where}.id`) : diskName(index);
    if (!/^[A-Za-z][A-Za-z0-9._-]{0,30}$/.test(id))
      return must(`${where}.id`, "a letter followed by letters, digits, `.`, `_` or `-`", id);
    if (seen.has(id)) throw new ApiError(`${where}.id: \`${id}\` is the id of an earlier disk`);
    seen.add(id);
    return {
      id,
      path: context.resolve(text(entry.get("path"), `${where}.path`)),
      format: known,
      readonly: entry.has("readonly") ? flag(entry.get("readonly"), `${where}.readonly`) : false,
    };
  });
};

type Parser = (value: OptionValue, what: string, context: OptionContext) => BootOptions;

const seconds = (value: unknown, what: string): number => {
  const n = typeof value === "bigint" ? Number(value) : value;
  return typeof n === "number" && Number.isFinite(n) ? n : must(what, "a finite number of seconds", value);
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
  initial_time: (value, what) => ({ initialTime: seconds(value, what) }),
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

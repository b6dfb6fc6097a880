/** Values of option tables, as parsers of options read them: each check names the option, what it may be and what came. */

import { ApiError } from "../errors/errors.ts";
import { suggestion } from "../errors/suggest.ts";
import { described, type Flavour } from "./quantities.ts";

/** A Lua value: strings are bytes, tables are maps with text or integer keys. */
export type OptionValue = boolean | number | bigint | string | Uint8Array | OptionTable | object;
export type OptionTable = ReadonlyMap<string | number, OptionValue>;

export interface OptionContext {
  /** Call that received them, for messages: "boot". */
  readonly call: string;
  readonly flavour: Flavour;
  /** Absolute form of a host path. */
  readonly resolve: (path: string) => string;
}

const decoder = new TextDecoder();
export const isText = (value: unknown): value is string | Uint8Array =>
  typeof value === "string" || value instanceof Uint8Array;
export const asText = (value: string | Uint8Array): string =>
  typeof value === "string" ? value : decoder.decode(value);
export const isTable = (value: unknown): value is OptionTable => value instanceof Map;

export const must = (what: string, wanted: string, value: unknown): never => {
  throw new ApiError(`${what} must be ${wanted}, got ${described(value)}`);
};

export const text = (value: unknown, what: string): string => {
  if (!isText(value)) return must(what, "a string", value);
  const plain = asText(value);
  return plain.includes("\0") ? must(what, "a string without NUL bytes", value) : plain;
};

export const flag = (value: unknown, what: string): boolean =>
  typeof value === "boolean" ? value : must(what, "a boolean", value);

export const integer = (value: unknown, what: string, least: number, most: number): number => {
  const n = typeof value === "bigint" ? Number(value) : value;
  if (typeof n !== "number" || !Number.isInteger(n) || n < least || n > most)
    return must(what, `an integer from ${least} to ${most}`, value);
  return n;
};

/** Refuses keys that are none of `known`. */
export const only = (table: OptionTable, known: readonly string[], what: string): void => {
  for (const key of table.keys())
    if (typeof key !== "string" || !known.includes(key))
      throw new ApiError(
        `${what}: unknown key ${typeof key === "string" ? `\`${key}\`` : `[${key}]`} (${suggestion(String(key), known)})`,
      );
};

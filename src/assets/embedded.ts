/**
 * What the executable carries. The build registers a table of embedded files before anything else runs; a checkout
 * that was not compiled has none and uses the build's outputs where they lie.
 */

import { readdirSync, readFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { HostError } from "../errors/errors.ts";

export interface EmbeddedFile {
  /** Where Bun shows the file to this process. */
  readonly path: string;
  /** Lower-case hexadecimal. */
  readonly sha256: string;
  readonly size: number;
}

/**
 * `agent`, `wrapper`, `helper`, `guest/…` (absent when built without a guest), `demo/…` and `report/…`. For guests of
 * another architecture, where they are built in: `agent-aarch64`, `wrapper-aarch64`, `guest-aarch64/…`.
 */
export type AssetTable = Readonly<Record<string, EmbeddedFile>>;

let table: AssetTable | undefined;

/** Called once by the compiled entry, first of all. */
export const registerEmbedded = (files: AssetTable): void => {
  table = files;
};

/** True in the compiled executable. */
export const isCompiled = (): boolean => table !== undefined;

export const embeddedFile = (name: string): EmbeddedFile | undefined => table?.[name];

const checkout = resolve(import.meta.dir, "../..");

/** Directories of programs for another architecture than the build's own. */
const FOREIGN_PROGRAMS: Readonly<Record<string, string>> = { aarch64: "agent-arm64", x86_64: "agent-amd64" };

/** Where an asset lies in a checkout. */
export const checkoutPath = (name: string): string => {
  if (name.startsWith("demo/") || name.startsWith("report/")) return join(checkout, "embed", name);
  if (name.startsWith("guest/") || name.startsWith("guest-")) return join(checkout, "build", name);
  const foreign = /^(agent|wrapper)-(aarch64|x86_64)$/.exec(name);
  if (foreign !== null)
    return join(checkout, "build", FOREIGN_PROGRAMS[foreign[2] as string] ?? "", `provium-${foreign[1]}`);
  return join(checkout, "build", "agent", `provium-${name}`);
};

/** The file name of an asset where it is extracted: `provium-agent` for `agent`. */
export const fileName = (name: string): string => (name.includes("/") ? basename(name) : `provium-${name}`);

const checkoutNames = (prefix: string): string[] => {
  const directory = checkoutPath(prefix);
  try {
    return readdirSync(directory, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => prefix + join(entry.parentPath, entry.name).slice(directory.length));
  } catch {
    return [];
  }
};

/** Names of the assets whose name begins with `prefix` (`guest/`, `demo/`), sorted. */
export const assetNames = (prefix: string): readonly string[] =>
  (table === undefined
    ? checkoutNames(prefix)
    : Object.keys(table).filter((name) => name.startsWith(prefix))
  ).sort();

/** The bytes of an asset. Undefined: this build has none of that name. */
export const readAsset = (name: string): Uint8Array | undefined => {
  const path = table === undefined ? checkoutPath(name) : table[name]?.path;
  if (path === undefined) return undefined;
  try {
    return readFileSync(path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new HostError(`the embedded file \`${name}\` cannot be read`, { cause });
  }
};

/** The archive that is laid over the user's initramfs: agent, wrapper, modules with their order, injected files. Pure. */

import { ApiError } from "../errors/errors.ts";
import type { ArchiveEntry } from "./archive.ts";
import type { KnownDirectories } from "./initrd.ts";
import type { ShippedModule } from "./module-tree.ts";

export const AGENT_PATH = "/sbin/provium-agent";
export const WRAPPER_PATH = "/sbin/provium-wrapper";
/** The wrapper loads the files that `order` lists, one name a line. */
export const MODULE_DIRECTORY = "/provium/modules";

export interface GuestFile {
  /** Absolute path in the guest. */
  readonly path: string;
  readonly data: Uint8Array;
  /** Permission bits. */
  readonly mode: number;
}

export interface Shim {
  /** Absent: nothing of ours runs in the guest (`inject_agent = false`). */
  readonly programs?: { readonly agent: Uint8Array; readonly wrapper: Uint8Array } | undefined;
  readonly modules: readonly ShippedModule[];
  readonly files: readonly GuestFile[];
}

const encoder = new TextEncoder();

/** PATH_MAX without the final NUL. */
const LONGEST_PATH = 4095;
const LONGEST_NAME = 255;

/** The path of an injected file without its leading slash. Throws ApiError naming the path and the rule it breaks. */
export const guestName = (path: string): string => {
  const refuse = (why: string): never => {
    throw new ApiError(`files: guest path ${JSON.stringify(path)} ${why}`, {
      hint: "A guest path is absolute and plain, like /etc/app.conf.",
    });
  };
  if (path.includes("\0")) refuse("contains a NUL byte");
  if (!path.startsWith("/")) refuse("is not absolute");
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..")) refuse("contains `..`");
  if (parts.length === 0 || path.endsWith("/") || path.endsWith("/."))
    refuse("names a directory, not a file");
  if (encoder.encode(path).length > LONGEST_PATH) refuse(`is longer than ${LONGEST_PATH} bytes`);
  if (parts.some((part) => encoder.encode(part).length > LONGEST_NAME))
    refuse(`has a component longer than ${LONGEST_NAME} bytes`);
  const name = parts.join("/");
  // The archive format's own end mark.
  if (name === "TRAILER!!!") refuse("is reserved");
  if (parts[0] === "provium" || `/${name}` === AGENT_PATH || `/${name}` === WRAPPER_PATH)
    refuse("belongs to the harness");
  return name;
};

/** Permission bits of directories that have to be made. */
const directoryMode = (name: string): number => {
  if (name === "tmp" || name === "var/tmp") return 0o1777;
  return name === "root" ? 0o700 : 0o755;
};

const parents = (name: string): string[] => {
  const parts = name.split("/");
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join("/"));
};

/**
 * The shim's entries, each after its directories. `known` tells which directories the user's initramfs has; those
 * keep their mode, owner and, if they are links, their target.
 */
export const shimEntries = (shim: Shim, known: KnownDirectories): ArchiveEntry[] => {
  const files = new Map<string, { readonly mode: number; readonly data: Uint8Array }>();
  for (const file of shim.files) files.set(guestName(file.path), { mode: file.mode, data: file.data });
  if (shim.programs !== undefined) {
    files.set(AGENT_PATH.slice(1), { mode: 0o755, data: shim.programs.agent });
    files.set(WRAPPER_PATH.slice(1), { mode: 0o755, data: shim.programs.wrapper });
  }
  if (shim.modules.length > 0) {
    const directory = MODULE_DIRECTORY.slice(1);
    for (const module of shim.modules)
      files.set(`${directory}/${module.file}`, { mode: 0o644, data: module.data });
    const order = shim.modules.map((module) => `${module.file}\n`).join("");
    files.set(`${directory}/order`, { mode: 0o644, data: encoder.encode(order) });
  }
  const entries: ArchiveEntry[] = [];
  const made = new Set<string>();
  for (const name of [...files.keys()].sort()) {
    for (const directory of parents(name)) {
      if (files.has(directory))
        throw new ApiError(`files: \`/${directory}\` is given as a file, and \`/${name}\` lies below it`);
      if (made.has(directory) || known(directory)) continue;
      made.add(directory);
      entries.push({ type: "directory", name: directory, mode: directoryMode(directory) });
    }
    const file = files.get(name)!;
    entries.push({ type: "file", name, mode: file.mode, data: file.data });
  }
  return entries;
};

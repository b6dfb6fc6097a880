/**
 * What the user's initramfs holds, as far as laying ours over it must know. The kernel replaces what is there by
 * what comes later: a directory entry of ours over a symlink (`/sbin` → `usr/sbin` on merged systems) would
 * remove the link, and over a directory it would change its mode. So directories that exist are left out.
 */

import { HostError } from "../errors/errors.ts";
import { concatenateArchives, isArchive, readArchive } from "./archive.ts";
import { compressionOf, decompress, MissingDecompressor } from "./decompress.ts";

/** Answers whether a path (without leading slash) exists as a directory or a link to one. */
export type KnownDirectories = (path: string) => boolean;

/** Where the archive cannot be looked into: every root has these, of whatever kind. */
const USUAL =
  /^(bin|boot|dev|etc|home|lib|lib64|mnt|opt|proc|root|run|sbin|sys|tmp|usr|usr\/bin|usr\/lib|usr\/sbin|var)$/;

const skipZeros = (data: Uint8Array, from: number): number => {
  let at = from;
  while (at < data.length && data[at] === 0) at++;
  return at;
};

export interface UserInitrd {
  readonly known: KnownDirectories;
  /** The archives, such that another one can follow. */
  readonly base: Uint8Array;
}

/**
 * Reads all archives in `data`, the compressed one last (early microcode comes uncompressed before it).
 * Throws HostError, naming `path`, when the bytes are no initramfs at all.
 */
export const readInitrd = async (data: Uint8Array, path: string): Promise<UserInitrd> => {
  const broken = (why: string, cause?: unknown): HostError =>
    new HostError(`initrd \`${path}\` is not an initramfs: ${why}`, {
      cause,
      hint: "An initramfs is a cpio archive (newc), plain or compressed as a whole.",
    });
  if (data.length === 0) throw broken("the file is empty");
  const names = new Set<string>();
  const known: KnownDirectories = (name) => names.has(name);
  let base = data;
  let rest = data;
  for (let at = skipZeros(rest, 0); at < rest.length; at = skipZeros(rest, 0)) {
    rest = rest.subarray(at);
    if (isArchive(rest)) {
      try {
        const { entries, end } = readArchive(rest);
        for (const entry of entries)
          if (entry.kind === "directory" || entry.kind === "symlink") names.add(entry.name);
        rest = rest.subarray(end);
      } catch (error) {
        throw broken((error as Error).message, error);
      }
      continue;
    }
    const compression = compressionOf(rest);
    if (compression === "none")
      throw broken(`it begins with ${Buffer.from(rest.subarray(0, 8)).toString("hex")}`);
    const before = data.subarray(0, data.length - rest.length);
    try {
      rest = await decompress(rest, `initrd \`${path}\``);
    } catch (error) {
      if (error instanceof MissingDecompressor)
        return { known: (name) => names.has(name) || USUAL.test(name), base: data };
      throw error;
    }
    if (!isArchive(rest)) throw broken(`its ${compression} data holds no cpio archive`);
    // This format has no end mark: the kernel would take our archive for more of it.
    if (compression === "lz4") base = concatenateArchives([before, rest]);
  }
  return { known, base };
};

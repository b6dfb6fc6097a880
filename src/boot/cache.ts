/**
 * Files made from other files, kept under the hash of what they were made from. They appear by rename, so a reader
 * sees nothing or everything; two makers of one file do the work twice and agree on the bytes.
 */

import { createHash } from "node:crypto";
import { readdirSync, readFileSync, rmSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { HostError } from "../errors/errors.ts";
import { writeWhole } from "../sys/whole-file.ts";

export const sha256 = (...parts: readonly (Uint8Array | string)[]): string => {
  const hash = createHash("sha256");
  // Lengths go in as well, so that no two lists of parts run together to the same bytes.
  for (const part of parts)
    hash.update(`${typeof part === "string" ? Buffer.byteLength(part) : part.length}:`).update(part);
  return hash.digest("hex");
};

const exists = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isFile() === true;

/** Writes `data` to `path` at once. Throws HostError when the directory cannot be used. */
export const install = (path: string, data: Uint8Array | string): void => {
  try {
    writeWhole(path, data);
  } catch (cause) {
    throw new HostError(`cannot write ${path}`, {
      cause,
      hint: "Is the disk full, or the cache directory (`cache_dir`) not writable?",
    });
  }
};

/** The path of `name` in `directory`, made by `make` unless it is there; using it makes it young again. */
export const cached = async (
  directory: string,
  name: string,
  make: () => Uint8Array | string | Promise<Uint8Array | string>,
): Promise<string> => {
  const path = join(directory, name);
  if (exists(path)) {
    const now = new Date();
    try {
      utimesSync(path, now, now);
    } catch {
      // Somebody else's cache: it is young or old as they like.
    }
    return path;
  }
  install(path, await make());
  return path;
};

/** So long a file that was handed out may wait for the machine that opens it, in this run or in another one. */
const ON_ITS_WAY_MS = 60_000;

/**
 * Removes the files unused for longest until no more than `files` files and `bytes` bytes are left. What was used just now
 * stays, however much that is.
 */
export const prune = (directory: string, files: number, bytes: number): void => {
  const found = readdirSync(directory)
    .map((name) => ({
      path: join(directory, name),
      info: statSync(join(directory, name), { throwIfNoEntry: false }),
    }))
    .filter((one) => one.info?.isFile() === true)
    .sort((a, b) => b.info!.mtimeMs - a.info!.mtimeMs);
  const young = Date.now() - ON_ITS_WAY_MS;
  let kept = 0;
  for (const [index, { path, info }] of found.entries()) {
    kept += info!.size;
    if (info!.mtimeMs < young && (index >= files || kept > bytes)) rmSync(path, { force: true });
  }
};

/** Contents of a file that the user named. Throws HostError: what it is, its path and the reason. */
export const readNamed = (what: string, path: string): Uint8Array => {
  try {
    return readFileSync(path);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    const why =
      code === "ENOENT"
        ? "does not exist"
        : code === "EACCES"
          ? "cannot be read: permission denied"
          : code === "EISDIR"
            ? "is a directory"
            : `cannot be read (${code})`;
    throw new HostError(`${what} \`${path}\` ${why}`, {
      cause,
      ...(code === "EACCES"
        ? { hint: `Some systems keep kernels readable for root only: chmod a+r ${path}` }
        : {}),
    });
  }
};

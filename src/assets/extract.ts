/**
 * Puts embedded files where programs can use them: a directory of the user's own, mode 0700, one folder per
 * content hash. A file that is there already is used only when its owner, mode, size and hash are right; a new one
 * appears by rename, so nobody ever sees half of it.
 */

import {
  accessSync,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { HostError } from "../errors/errors.ts";
import { writeWhole } from "../sys/whole-file.ts";
import {
  checkoutPath,
  type EmbeddedFile,
  embeddedFile,
  fileName,
  isCompiled,
  readAsset,
} from "./embedded.ts";

const userId = (): number => process.getuid?.() ?? 0;

const sha256 = (bytes: Uint8Array): string => new Bun.CryptoHasher("sha256").update(bytes).digest("hex");

/** Below the user's cache directory; undefined for a user without home. */
export const assetCache = (environment: NodeJS.ProcessEnv): string | undefined => {
  const cache =
    environment.XDG_CACHE_HOME || (environment.HOME ? join(environment.HOME, ".cache") : undefined);
  return cache === undefined ? undefined : join(cache, "provium", "assets");
};

/** True for a real directory that only this user can change. */
const isOurs = (directory: string): boolean => {
  const info = lstatSync(directory, { throwIfNoEntry: false });
  return info?.isDirectory() === true && info.uid === userId() && (info.mode & 0o022) === 0;
};

/** True when `path` holds exactly that content in a plain file of ours which we may execute. */
const isGenuine = (path: string, file: EmbeddedFile): boolean => {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch {
    return false;
  }
  try {
    const info = fstatSync(fd);
    if (!info.isFile() || info.uid !== userId() || (info.mode & 0o777) !== 0o700 || info.size !== file.size)
      return false;
    return sha256(readFileSync(fd)) === file.sha256;
  } finally {
    closeSync(fd);
  }
};

const onDisk = (path: string, act: () => void, what = "cannot be written"): void => {
  try {
    act();
  } catch (cause) {
    throw new HostError(`${path}: ${what}`, {
      cause,
      hint: "set XDG_CACHE_HOME or PROVIUM_TMPDIR to a directory with room from which programs may be run",
    });
  }
};

const extractInto = (directory: string, name: string, file: EmbeddedFile): string => {
  const folder = join(directory, file.sha256.slice(0, 32));
  onDisk(folder, () => mkdirSync(folder, { recursive: true, mode: 0o700 }));
  if (!isOurs(directory) || !isOurs(folder))
    throw new HostError(`${folder} can be changed by others; nothing is run from there`);
  const path = join(folder, fileName(name));
  if (!isGenuine(path, file)) {
    const bytes = readAsset(name);
    if (bytes === undefined || sha256(bytes) !== file.sha256)
      throw new HostError(
        `the executable is damaged: its embedded \`${name}\` does not have the hash it was built with`,
      );
    onDisk(path, () => writeWhole(path, bytes, { mode: 0o700, synced: true }));
  }
  // Also where the mode allows it: a file system may be mounted noexec. access(2).
  onDisk(path, () => accessSync(path, constants.X_OK), "nothing can be executed from there");
  return path;
};

/**
 * The path of a program that the executable carries (`agent`, `wrapper`, `helper`), extracted when needed: into the
 * cache, or into `fallback` (the run's own directory) where the cache cannot be used. Throws `HostError`.
 */
export const assetPath = (
  name: string,
  fallback: string,
  environment: NodeJS.ProcessEnv = process.env,
): string => {
  if (!isCompiled()) {
    const path = checkoutPath(name);
    if (lstatSync(path, { throwIfNoEntry: false }) === undefined)
      throw new HostError(`${path} has not been built`, { hint: "run `make build`" });
    return path;
  }
  const file = embeddedFile(name);
  if (file === undefined) throw new HostError(`this executable was built without \`${name}\``);
  const cache = assetCache({ HOME: homedir(), ...environment });
  if (cache !== undefined) {
    try {
      return extractInto(cache, name, file);
    } catch {
      // Read-only or foreign: the run's own directory serves as well, only not from run to run.
    }
  }
  return extractInto(join(fallback, "assets"), name, file);
};

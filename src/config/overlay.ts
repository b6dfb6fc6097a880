/** The agent overlay of profiles that name none: an archive that goes behind our part of the initramfs. */

import { statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

const NAME = "agent-overlay.cpio.gz";

/** `directory` and those above it, as far as `top` when it is one of them. */
export const upwards = (directory: string, top = "/"): string[] => {
  const found = [directory];
  for (let at = directory; at !== top && at !== dirname(at); at = dirname(at)) found.push(dirname(at));
  return found;
};

/** Not what somebody else has put into a directory above the project that everybody may write to. */
const isTrusted = (file: string): boolean => {
  try {
    const found = statSync(file);
    return found.isFile() && (found.uid === 0 || found.uid === process.geteuid?.());
  } catch {
    // It is not there, or in a directory above that is closed to us: neither is a fault of the project.
    return false;
  }
};

/**
 * `PROVIUM_OVERLAY`; what is installed with the executable; what a project's own build has left in `dist`, there or
 * in a directory above. Undefined: there is none, and the agent is the embedded one.
 */
export const standingOverlay = (
  project: string,
  environment: NodeJS.ProcessEnv,
  executable: string = process.execPath,
): string | undefined =>
  environment.PROVIUM_OVERLAY
    ? resolve(environment.PROVIUM_OVERLAY)
    : [
        join(dirname(executable), "../share/provium", NAME),
        ...upwards(project).map((directory) => join(directory, "dist", NAME)),
      ].find(isTrusted);

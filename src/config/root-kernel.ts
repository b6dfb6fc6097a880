/** The kernel inside a root directory: looked for once the directory can be there, which is after the build of its profile. */

import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Profile } from "./schema.ts";

/** The newest, in the order of versions: 6.9 before 6.10. */
const newest = (directory: string): string | undefined => {
  try {
    const order = new Intl.Collator("en", { numeric: true });
    return readdirSync(directory)
      .filter((name) => name.startsWith("vmlinuz-"))
      .sort(order.compare)
      .at(-1);
  } catch {
    return undefined;
  }
};

/** The profile with the kernel that its root brings: `vmlinuz`, `boot/vmlinuz`, or the newest `boot/vmlinuz-*`. */
export const withRootKernel = (profile: Profile): Profile => {
  if (profile.root?.kernelInside !== true) return profile;
  const { path } = profile.root;
  const versioned = newest(join(path, "boot"));
  const places = ["vmlinuz", "boot/vmlinuz", ...(versioned === undefined ? [] : [`boot/${versioned}`])];
  const kernel = places.map((place) => join(path, place)).find((file) => existsSync(file));
  return kernel === undefined ? profile : { ...profile, kernel, origin: "lab" };
};

/** `root` of a profile: the host's tree, or a directory of it. */

import { type Architecture, HOST_ARCHITECTURE } from "../sys/architecture.ts";
import type { Section } from "./document.ts";
import type { RootTree } from "./schema.ts";

/** `root = "host"`: the whole tree. */
const HOST = "host";

/** `place` makes a path of the file absolute. Throws what makes it no root. */
export const readRoot = (
  name: string,
  section: Section,
  architecture: Architecture,
  place: (value: string) => string,
): RootTree | undefined => {
  const written = section.text("root");
  if (written === undefined) return undefined;
  const invalid = (why: string): Error => section.invalid("root", `profile \`${name}\` ${why}`);
  if (written.trim() === "") throw invalid("has an empty root");
  if (section.has("disk")) throw invalid("has both root and disk");
  if (section.has("initrd") || section.has("initramfs"))
    throw invalid("has a root and an initrd: one of them is the root");
  if (written === HOST && architecture !== HOST_ARCHITECTURE)
    throw invalid(`is for ${architecture}, and the programs of this host are not`);
  const path = written === HOST ? "/" : place(written);
  if (path.includes(",")) throw invalid("has a comma in its root, which virtiofsd cannot be told");
  return { path, kernelInside: written !== HOST && !section.has("kernel") };
};

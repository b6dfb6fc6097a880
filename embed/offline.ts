/** node_modules out of vendor/npm, for a build without network: every package verified, unpacked, and patched. */

import { existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import manifest from "../package.json" with { type: "json" };
import { packageFile, root, runtimePackages, vendor } from "./lock.ts";
import { run, verified } from "./runtime.ts";

const modules = join(root, "node_modules");
rmSync(modules, { recursive: true, force: true });
for (const item of runtimePackages()) {
  const archive = join(vendor, "npm", packageFile(item));
  if (!existsSync(archive))
    throw new Error(`${archive} is missing: OFFLINE=1 builds from a source archive of a release (make dist)`);
  const place = join(modules, item.place);
  mkdirSync(place, { recursive: true });
  run(["tar", "-xzf", verified(archive, item.integrity), "-C", place, "--strip-components=1"]);
}
for (const [id, patch] of Object.entries(manifest.patchedDependencies)) {
  const name = id.slice(0, id.lastIndexOf("@"));
  run(["patch", "-s", "-p1", "-d", join(modules, name), "-i", join(root, patch)]);
}

/**
 * `make dist`: what a release consists of, in dist/release.
 *
 *   provium-VERSION-linux-MACHINE           with the default guest of that machine's architecture
 *   provium-VERSION-linux-MACHINE-noguest   without; both have the agent for guests of either architecture
 *   provium-VERSION.tar.gz                  sources with everything that a build without network needs
 *   provium-VERSION.cdx.json                CycloneDX bill of materials
 *   THIRD_PARTY.md, install.sh, SHA256SUMS
 */

import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import manifest from "../package.json" with { type: "json" };
import { billOfMaterials } from "./bill.ts";
import { MACHINES, run, runtime } from "./runtime.ts";
import { sourceArchive } from "./sources.ts";

const root = resolve(import.meta.dir, "..");
const release = join(root, "dist/release");
const name = `provium-${manifest.version}`;

rmSync(release, { recursive: true, force: true });
mkdirSync(release, { recursive: true });

for (const machine of MACHINES) {
  const { path, target } = runtime(machine);
  for (const guest of ["default", "none"]) {
    const file = `${name}-linux-${machine}${guest === "none" ? "-noguest" : ""}`;
    run([process.execPath, "embed/compile.ts", join(release, file)], {
      env: { GUEST: guest, FOREIGN: "agent", RUNTIME: path, TARGET: target },
    });
  }
}
sourceArchive(join(release, `${name}.tar.gz`), name);
writeFileSync(join(release, `${name}.cdx.json`), billOfMaterials());
for (const file of ["THIRD_PARTY.md", "install.sh"]) copyFileSync(join(root, file), join(release, file));

const files = readdirSync(release).sort();
const sum = (file: string): string =>
  new Bun.CryptoHasher("sha256").update(readFileSync(join(release, file))).digest("hex");
writeFileSync(join(release, "SHA256SUMS"), files.map((file) => `${sum(file)}  ${file}\n`).join(""));
for (const file of files)
  console.log(`${(statSync(join(release, file)).size / 2 ** 20).toFixed(1).padStart(7)} MiB  ${file}`);

/** The bill of materials of a release, CycloneDX 1.6: what the executable carries, from the lock file and the manifest. */

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Enums, Models, Serialize, Spec } from "@cyclonedx/cyclonedx-library";
import manifest from "../package.json" with { type: "json" };
import { root, runtimePackages } from "./lock.ts";

const licences = (name: string): string | undefined => {
  const path = join(root, "node_modules", name, "package.json");
  if (!existsSync(path)) return undefined;
  const { license } = JSON.parse(readFileSync(path, "utf8")) as { license?: unknown };
  return typeof license === "string" ? license : undefined;
};

const component = (
  type: Enums.ComponentType,
  name: string,
  version: string,
  purl: string,
  licence?: string,
): Models.Component => {
  const made = new Models.Component(type, name, { version, bomRef: purl, purl: purl as never });
  if (licence !== undefined) made.licenses.add(new Models.LicenseExpression(licence));
  return made;
};

/** `package NAME VERSION source NAME VERSION` lines of the guest's manifest. */
const guestPackages = (): Models.Component[] => {
  const path = join(root, "build/guest/manifest");
  if (!existsSync(path)) return [];
  return [...readFileSync(path, "utf8").matchAll(/^package (\S+) (\S+) /gm)].map(([, name, version]) =>
    component(
      Enums.ComponentType.Application,
      name as string,
      version as string,
      `pkg:deb/debian/${name}@${encodeURIComponent(version as string)}`,
    ),
  );
};

/** JSON text. The same inputs give the same bytes: no time, no serial number. */
export const billOfMaterials = (): string => {
  const { Application, Library, Platform } = Enums.ComponentType;
  const bom = new Models.Bom();
  bom.metadata.component = component(
    Application,
    manifest.name,
    manifest.version,
    `pkg:generic/${manifest.name}@${manifest.version}`,
    manifest.license,
  );
  const bun = manifest.devDependencies.bun;
  bom.components.add(component(Platform, "bun", bun, `pkg:npm/bun@${bun}`, "MIT"));
  for (const { name, version, integrity } of runtimePackages()) {
    const purl = `pkg:npm/${name.replace("@", "%40")}@${version}`;
    const made = component(Library, name, version, purl, licences(name));
    const hash = Buffer.from(integrity.replace(/^sha512-/, ""), "base64").toString("hex");
    made.hashes.set(Enums.HashAlgorithm["SHA-512"], hash);
    bom.components.add(made);
  }
  for (const made of guestPackages()) bom.components.add(made);
  const factory = new Serialize.JSON.Normalize.Factory(Spec.Spec1dot6);
  return `${new Serialize.JsonSerializer(factory).serialize(bom, { sortLists: true, space: 2 })}\n`;
};

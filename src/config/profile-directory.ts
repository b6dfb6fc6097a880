/** `[profiles] from_dir = "profiles"`: each `profiles/NAME/profile.provium.toml` declares the profile NAME. */

import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { ConfigError } from "../errors/errors.ts";
import { type Section, TomlDocument } from "./document.ts";
import { FROM_DIRECTORY, namesDirectory, readProfile } from "./profiles.ts";
import type { Profile } from "./schema.ts";

const FILE = "profile.provium.toml";

const textOf = (file: string): string | undefined => {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    // A directory beside the profiles that is none.
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw new ConfigError(`read \`${file}\`: ${message.split(",")[0]}`);
  }
};

/** Paths in such a file start at its own directory. Throws `ConfigError`. */
export const readProfileDirectory = (
  root: Section,
  directory: string,
): { readonly profiles: readonly Profile[]; readonly warnings: readonly string[] } => {
  const section = root.section("profiles");
  if (!namesDirectory(section)) return { profiles: [], warnings: [] };
  const classic = root.section("profile");
  const place = resolve(directory, section.text(FROM_DIRECTORY) as string);
  let names: string[];
  try {
    names = readdirSync(place).sort();
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw section.invalid(FROM_DIRECTORY, `from_dir: ${place} cannot be read (${code})`);
  }
  const profiles: Profile[] = [];
  const warnings: string[] = [];
  for (const name of names) {
    const file = join(place, name, FILE);
    const text = textOf(file);
    if (text === undefined) continue;
    const table = [section, classic].find((one) => one.has(name));
    if (table !== undefined)
      throw table.invalid(name, `profile \`${name}\` stands here and in ${file}`, "keep one of the two");
    const document = new TomlDocument(file, text);
    profiles.push(readProfile(name, "lab", document.root, dirname(file)));
    warnings.push(...document.warnings);
  }
  return { profiles, warnings };
};

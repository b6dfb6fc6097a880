/** Command lines that stand in files: read once the files can be there, which is after the builds of their profiles. */

import { readFileSync } from "node:fs";
import { ConfigError } from "../errors/errors.ts";
import type { Profile } from "./schema.ts";

/** Words of a file; lines that begin with # are comments. */
const wordsOf = (text: string): string =>
  text
    .split("\n")
    .filter((line) => !line.trim().startsWith("#"))
    .join(" ")
    .trim()
    .replace(/\s+/g, " ");

/**
 * The profile with the command line that its file says. Where the file is not there it keeps `cmdlineFile` and cannot
 * boot, which is for no run to say that does not boot from it. Throws `ConfigError` for a file that cannot be used.
 */
export const withCommandLine = (profile: Profile): Profile => {
  const { cmdlineFile, ...rest } = profile;
  if (cmdlineFile === undefined) return profile;
  const named = `profile \`${profile.name}\`: cmdline_file ${cmdlineFile}`;
  let text: string;
  try {
    text = readFileSync(cmdlineFile, "utf8");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT") return profile;
    throw new ConfigError(`${named} cannot be read (${code})`);
  }
  const cmdline = wordsOf(text);
  if (cmdline === "") throw new ConfigError(`${named} has no words`);
  return { ...rest, cmdline };
};

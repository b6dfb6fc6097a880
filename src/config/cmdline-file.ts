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
 * The profile with the command line that its file says. A file that is not there is an error, unless `mayMiss`:
 * its build has not been run, because no test of this run boots from it. Throws `ConfigError`.
 */
export const withCommandLine = (profile: Profile, mayMiss: boolean): Profile => {
  const { cmdlineFile, name } = profile;
  if (cmdlineFile === undefined) return profile;
  let text: string;
  try {
    text = readFileSync(cmdlineFile, "utf8");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (mayMiss && code === "ENOENT") return profile;
    throw new ConfigError(`profile \`${name}\`: cmdline_file ${cmdlineFile} cannot be read (${code})`);
  }
  const cmdline = wordsOf(text);
  if (cmdline === "") throw new ConfigError(`profile \`${name}\`: cmdline_file ${cmdlineFile} has no words`);
  return { ...profile, cmdline };
};

/** Profiles as a run uses them: built where a test boots from them, with the command lines that their files say and the kernels in their roots. */

import { join } from "node:path";
import { withCommandLine } from "../config/cmdline-file.ts";
import { withRootKernel } from "../config/root-kernel.ts";
import type { Config, Profile } from "../config/schema.ts";
import { type BuildHost, buildProfiles, namedProfiles } from "./build.ts";

/** Fixtures and modules may name profiles too, and the files of a run do not tell which of them they use. */
const otherLuaFiles = (roots: readonly string[]): string[] =>
  roots.flatMap((root) => [
    ...[...new Bun.Glob("**/*.lua").scanSync({ cwd: root })]
      .filter((name) => !name.endsWith(".test.lua"))
      .map((name) => join(root, name)),
  ]);

export interface Wanted {
  /** Selected test files. */
  readonly files: readonly string[];
  readonly roots: readonly string[];
  /** A profile that an errand asks for. */
  readonly profile?: string | undefined;
  /** `--no-build`. */
  readonly build: boolean;
}

/** Throws what keeps a profile from being built. */
export const readyProfiles = async (
  config: Config,
  { files, roots, profile, build }: Wanted,
  host: BuildHost,
): Promise<Readonly<Record<string, Profile>>> => {
  const all = Object.values(config.profiles);
  if (build && all.some((one) => one.build !== undefined)) {
    const wanted =
      profile === undefined
        ? namedProfiles(all, [...files, ...otherLuaFiles(roots)])
        : all.filter(({ name }) => name === profile);
    await buildProfiles(wanted, host);
  }
  return Object.fromEntries(all.map((one) => [one.name, withRootKernel(withCommandLine(one))]));
};

/** What a run works on: the files that the command line names, and the places that go with them. */

import { existsSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { discover, type TestFile } from "../dispatch/discover.ts";
import { UsageError } from "../errors/errors.ts";
import { nearest } from "../errors/suggest.ts";
import { dialectOf } from "../runner/dialect.ts";
import { COMMANDS } from "./commands.ts";
import type { RunOptions } from "./options.ts";

export interface Given {
  readonly files: readonly TestFile[];
  /** Directories that `require` searches. */
  readonly roots: readonly string[];
  /** Where relative paths of classic files start. */
  readonly project: string;
}

const isDirectory = (path: string): boolean =>
  statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;

/** A first word that is no path may be a misspelt command. Throws `UsageError`. */
const refuseMisspelt = (word: string | undefined, directory: string): void => {
  if (word === undefined || word.includes("/") || existsSync(resolve(directory, word))) return;
  const guess = nearest(word, ["test", ...Object.keys(COMMANDS)]);
  if (guess !== undefined)
    throw new UsageError(`${word} is no command, and there is no such file or directory`, {
      hint: `did you mean provium ${guess}?`,
    });
};

/** What the command line names. Without configured roots the directories given are the roots. Throws `UsageError`. */
export const named = ({ config, directory, form, paths }: RunOptions): Given => {
  if (form === "lab") refuseMisspelt(paths[0], directory);
  const files = discover({ form, paths, directory, roots: config.roots, dialectOf });
  const given =
    paths.length === 0 ? [directory] : paths.map((path) => resolve(directory, path)).filter(isDirectory);
  return { files, roots: config.roots.length > 0 ? config.roots : given, project: config.project };
};

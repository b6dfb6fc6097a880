/** What a run works on: the files that the command line names, and the places that go with them. */

import { statSync } from "node:fs";
import { resolve } from "node:path";
import { discover, type TestFile } from "../dispatch/discover.ts";
import { dialectOf } from "../runner/dialect.ts";
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

/** What the command line names. Without configured roots the directories given are the roots. Throws `UsageError`. */
export const named = ({ config, directory, form, paths }: RunOptions): Given => {
  const files = discover({ form, paths, directory, roots: config.roots, dialectOf });
  const given =
    paths.length === 0 ? [directory] : paths.map((path) => resolve(directory, path)).filter(isDirectory);
  return { files, roots: config.roots.length > 0 ? config.roots : given, project: config.project };
};

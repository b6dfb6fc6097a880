/** The command line that repeats one file of a run as it was: what chose the files is left out, what shaped them stays. */

import { isAbsolute, relative } from "node:path";
import type { Form } from "../dispatch/discover.ts";
import type { Arguments } from "./arguments.ts";
import { RUN_FLAGS } from "./flags.ts";

/** What a test may notice. How the work is spread does not matter to one test; whoever tells of a failure adds the seed. */
const KEPT: ReadonlySet<string> = new Set(["vmm", "accel", "transport", "network", "run-as", "include-slow"]);

/** Words, with `{file}` where the file belongs. */
export const rerunWords = (args: Arguments, form: Form): readonly string[] => {
  const words = form === "classic" ? ["provium", "test", "{file}"] : ["provium", "{file}"];
  const config = args.text("config");
  if (config !== undefined) words.push("--config", config);
  for (const name of Object.keys(RUN_FLAGS)) {
    if (!KEPT.has(name)) continue;
    const value = args.text(name);
    if (value !== undefined) words.push(`--${name}`, value);
    else if (args.has(name)) words.push(`--${name}`);
  }
  return words;
};

/** A file as people in `directory` name it: relative when it lies below. */
export const locationOf = (file: string, directory: string): string => {
  const path = relative(directory, file);
  return path === "" || path.startsWith("..") || isAbsolute(path) ? file : path;
};

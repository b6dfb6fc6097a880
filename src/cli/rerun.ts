/** The command line that repeats one file of a run as it was: what chose the files is left out, what shaped them stays. */

import { isAbsolute, relative } from "node:path";
import type { Form } from "../dispatch/discover.ts";
import type { Arguments } from "./arguments.ts";
import { type Flag, RUN_FLAGS } from "./flags.ts";

/** Flags that choose files and tests, spread the work or write reports: repeating one test needs none of them. */
const LEFT_OUT: ReadonlySet<string> = new Set(["timeout", "fail-fast", "jobs", "mem", "cpus"]);

/** Words, with `{file}` where the file belongs. */
export const rerunWords = (args: Arguments, form: Form): readonly string[] => {
  const words = form === "classic" ? ["provium", "test", "{file}"] : ["provium", "{file}"];
  const config = args.text("config");
  if (config !== undefined) words.push("--config", config);
  for (const [name, flag] of Object.entries(RUN_FLAGS) as [string, Flag][]) {
    const shapes = flag.group === "How they run" ? !LEFT_OUT.has(name) : name === "include-slow";
    if (!shapes) continue;
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

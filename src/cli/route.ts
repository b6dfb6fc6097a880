/** From the words of a command line to the command: pure but for one look whether `./test` exists. */

import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Form } from "../dispatch/discover.ts";
import { COMMANDS, type CommandName } from "./commands.ts";
import { COMMON_FLAGS, CONFIG_FLAGS, type Flag, type Flags, RUN_FLAGS } from "./flags.ts";

export interface Route {
  readonly command: CommandName | "run" | "help";
  readonly form: Form;
  /** The command line without the command's word. */
  readonly rest: readonly string[];
}

const ALL: Flags = { ...RUN_FLAGS, ...CONFIG_FLAGS, ...COMMON_FLAGS };
const takesValue = (word: string): boolean => {
  const flag: Flag | undefined = word.startsWith("--")
    ? ALL[word.slice(2)]
    : Object.values(ALL).find((one) => `-${one.alias}` === word);
  return flag !== undefined && flag.type !== "boolean";
};

/** Indices of the words that are no flags and no values of flags. */
const positionalsOf = (raw: readonly string[]): number[] => {
  const found: number[] = [];
  for (let i = 0; i < raw.length; i++) {
    const word = raw[i] as string;
    if (word === "--") {
      for (let j = i + 1; j < raw.length; j++) found.push(j);
      break;
    }
    if (!word.startsWith("-")) found.push(i);
    else if (takesValue(word)) i++;
  }
  return found;
};

/**
 * The first word that is no flag may name a command; anything else is a path. `test` alone is a path when `./test`
 * exists, and `./test` always is.
 */
export const routeCommand = (raw: readonly string[], directory: string): Route => {
  const positionals = positionalsOf(raw);
  const end = raw.includes("--") ? raw.indexOf("--") : raw.length;
  // What stands behind -- is a path, whatever it is called.
  const first = positionals.find((index) => index < end);
  const word = first === undefined ? undefined : raw[first];
  const without = raw.filter((_, index) => index !== first);
  const wantsHelp = raw.slice(0, end);
  const help = wantsHelp.includes("--help") || wantsHelp.includes("-h");
  if (word === "test" && !(positionals.length === 1 && existsSync(join(directory, "test"))))
    return { command: help ? "help" : "run", form: "classic", rest: without };
  if (word === "help") return { command: "help", form: "lab", rest: without };
  if (word !== undefined && Object.hasOwn(COMMANDS, word))
    return { command: word as CommandName, form: "lab", rest: without };
  return { command: help ? "help" : "run", form: "lab", rest: raw };
};

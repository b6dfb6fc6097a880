/** `provium completions SHELL`: what bash, zsh and fish need to complete commands, flags and their values. */

import { UsageError } from "../errors/errors.ts";
import { suggestion } from "../errors/suggest.ts";
import { readArguments } from "./arguments.ts";
import { COMMANDS, type Command } from "./commands.ts";
import type { Completable } from "./completable.ts";
import { bashCompletion } from "./completion-bash.ts";
import { fishCompletion } from "./completion-fish.ts";
import { zshCompletion } from "./completion-zsh.ts";
import { EXIT_PASSED } from "./exit.ts";
import { COMMON_FLAGS, CONFIG_FLAGS, type Flags, RUN_FLAGS } from "./flags.ts";
import { renderHelp } from "./help.ts";
import { LOADERS } from "./loaders.ts";
import { version } from "./version.ts";

export const FLAGS = { help: COMMON_FLAGS.help } as const satisfies Flags;

const RENDER = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion } as const;
const SHELLS = Object.keys(RENDER) as (keyof typeof RENDER)[];

const everything = async (): Promise<Completable[]> => {
  const run = { ...RUN_FLAGS, ...CONFIG_FLAGS, ...COMMON_FLAGS };
  const found: Completable[] = [
    { name: "", about: "", takes: "paths", flags: run },
    { name: "test", about: "every *.lua below the paths", takes: "paths", flags: run },
  ];
  for (const [name, { about, takes }] of Object.entries<Command>(COMMANDS)) {
    const flags = name === "completions" ? FLAGS : (await LOADERS[name as keyof typeof LOADERS]()).flags;
    found.push({ name, about, takes, flags });
  }
  return found;
};

/** The completions of a shell, whole. */
export const completionsFor = async (shell: keyof typeof RENDER): Promise<string> => {
  const text = RENDER[shell](await everything());
  // zsh wants its mark in the first line.
  const [mark, ...rest] = text.startsWith("#compdef") ? text.split("\n") : [undefined, text];
  const head = `# Made by \`provium completions ${shell}\`, provium ${version}.`;
  return [...(mark === undefined ? [] : [mark]), head, ...rest].join("\n");
};

const ABOUT = `Prints the completions of a shell. The place for them:

  bash   ~/.local/share/bash-completion/completions/provium
  zsh    _provium in a directory of $fpath
  fish   ~/.config/fish/completions/provium.fish
`;

export const completions = async (raw: readonly string[]): Promise<number> => {
  const args = readArguments(raw, FLAGS);
  if (args.has("help")) {
    process.stdout.write(
      renderHelp({ usage: ["provium completions bash|zsh|fish"], about: ABOUT, flags: FLAGS }),
    );
    return EXIT_PASSED;
  }
  const [shell = "", ...surplus] = args.words;
  const render = SHELLS.find((name) => name === shell);
  if (render === undefined)
    throw new UsageError(
      shell === ""
        ? `completions: for which shell? (known: ${SHELLS.join(", ")})`
        : `completions: no \`${shell}\` (${suggestion(shell, SHELLS)})`,
    );
  if (surplus.length > 0)
    throw new UsageError(`completions takes one shell; \`${surplus[0]}\` is one too many`);
  process.stdout.write(await completionsFor(render));
  return EXIT_PASSED;
};

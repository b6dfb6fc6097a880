/** `provium lsp-setup`: definitions of everything that tests can call, where the Lua language server finds them. */

import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { HostError, UsageError } from "../errors/errors.ts";
import { readArguments } from "./arguments.ts";
import { EXIT_FAILED, EXIT_PASSED } from "./exit.ts";
import { COMMON_FLAGS, type Flags } from "./flags.ts";
import { renderHelp } from "./help.ts";
import { stubs } from "./stubs.ts";

export const FLAGS = {
  force: { type: "boolean", group: "Other", description: "replace a .luarc.json that is there" },
  stdout: { type: "boolean", group: "Other", description: "print the definitions and write nothing" },
  help: COMMON_FLAGS.help,
} as const satisfies Flags;

const META = ".provium-meta";
const SETTINGS = ".luarc.json";

/** Settings of the server; keys as its documentation has them. */
export const LUARC = `${JSON.stringify(
  {
    $schema: "https://raw.githubusercontent.com/LuaLS/vscode-lua/master/setting/schema.json",
    "runtime.version": "Lua 5.4",
    "workspace.library": [META],
    "workspace.checkThirdParty": false,
  },
  null,
  2,
)}\n`;

/** What `act` gives; what it cannot do with `file` is a `HostError`. */
const doing = <T>(what: "read" | "written", file: string, act: () => T): T => {
  try {
    return act();
  } catch (cause) {
    throw new HostError(`${file} cannot be ${what}`, { cause });
  }
};

/** Writes the definitions below `directory`; returns the file. Throws `HostError`. */
export const writeStubs = (directory: string): string => {
  const file = join(directory, META, "types.lua");
  doing("written", file, () => {
    mkdirSync(join(directory, META), { recursive: true });
    writeFileSync(file, stubs());
  });
  return file;
};

export const lspSetup = async (raw: readonly string[]): Promise<number> => {
  const args = readArguments(raw, FLAGS);
  if (args.has("help")) {
    const about = `Writes DIR/${META}/types.lua, which tells the Lua language server (LuaLS, EmmyLua) what tests can call, and
DIR/${SETTINGS}, which tells it where that is. DIR is the current directory. After an update of provium run it again.
`;
    process.stdout.write(renderHelp({ usage: ["provium lsp-setup [DIR] [--force]"], about, flags: FLAGS }));
    return EXIT_PASSED;
  }
  const [given = ".", ...surplus] = args.words;
  if (surplus.length > 0)
    throw new UsageError(`lsp-setup takes one directory; \`${surplus[0]}\` is one too many`);
  if (args.has("stdout")) {
    process.stdout.write(stubs());
    return EXIT_PASSED;
  }
  const directory = resolve(given);
  if (statSync(directory, { throwIfNoEntry: false })?.isDirectory() !== true)
    throw new UsageError(`lsp-setup: ${given} is no directory`);
  const shown = (file: string): string => {
    const path = relative(process.cwd(), file);
    return path === "" || path.startsWith("..") ? file : path;
  };
  process.stdout.write(`wrote ${shown(writeStubs(directory))}\n`);
  const settings = join(directory, SETTINGS);
  if (existsSync(settings) && !args.has("force")) {
    if (doing("read", settings, () => readFileSync(settings, "utf8")).includes(META)) return EXIT_PASSED;
    process.stdout.write(
      `${shown(settings)} is there and stays as it is. Add this to it, or use --force:\n\n${LUARC}`,
    );
    return EXIT_FAILED;
  }
  doing("written", settings, () => writeFileSync(settings, LUARC));
  process.stdout.write(`wrote ${shown(settings)}\n`);
  return EXIT_PASSED;
};

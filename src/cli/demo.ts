/** `provium demo`: runs the example suite that the executable carries. */

import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { assetNames, readAsset } from "../assets/embedded.ts";
import { defaultConfig } from "../config/load.ts";
import { discover } from "../dispatch/discover.ts";
import { HostError, UsageError } from "../errors/errors.ts";
import { dialectOf } from "../runner/dialect.ts";
import type { RunDirectory } from "../sys/directory.ts";
import { readArguments } from "./arguments.ts";
import { execute } from "./execute.ts";
import { COMMON_FLAGS, CONFIG_FLAGS, RUN_FLAGS } from "./flags.ts";
import { renderHelp } from "./help.ts";
import { runOptions } from "./options.ts";

const PREFIX = "demo/";
export const FLAGS = { ...RUN_FLAGS, ...CONFIG_FLAGS, help: COMMON_FLAGS.help };

/** Writes the suite below the run's directory; returns where. */
const unpack = (directory: RunDirectory): string => {
  const root = directory.make("demo");
  for (const name of assetNames(PREFIX)) {
    const path = join(root, name.slice(PREFIX.length));
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, readAsset(name) as Uint8Array);
  }
  return root;
};

export const demo = async (raw: readonly string[]): Promise<number> => {
  const args = readArguments(raw, FLAGS);
  if (args.has("help")) {
    const about = "Runs the example suite in virtual machines: small test files, one feature each.";
    process.stdout.write(renderHelp({ usage: ["provium demo [FLAGS]"], about, flags: FLAGS }));
    return 0;
  }
  if (args.words.length > 0)
    throw new UsageError(`demo takes no paths; it was given \`${args.words[0]}\``, {
      hint: "choose among its files with --filter",
    });
  if (!assetNames(PREFIX).some((name) => name.endsWith(".lua")))
    throw new HostError("this executable was built without the example suite");
  // The suite knows the embedded guest only; the configuration of whatever project we stand in is not for it.
  const config = args.text("config") === undefined ? defaultConfig(process.cwd(), process.env) : undefined;
  const options = runOptions(args, "classic", process.cwd(), process.env, config);
  // A tour shows what it does.
  const shown =
    options.output.detail === "normal"
      ? { ...options, output: { ...options.output, detail: "verbose" as const } }
      : options;
  return execute({ ...shown, rerun: ["provium", "demo", "--filter", "{path}"] }, process.env, (directory) => {
    const root = unpack(directory);
    const files = discover({ form: "classic", paths: [], directory: root, roots: [], dialectOf });
    return {
      files,
      roots: [root],
      project: root,
    };
  });
};

/** `provium [PATHS]` and `provium test [PATHS]`. */

import type { Form } from "../dispatch/discover.ts";
import { readArguments } from "./arguments.ts";
import { execute, executeWatching } from "./execute.ts";
import { EXIT_PASSED } from "./exit.ts";
import { COMMON_FLAGS, CONFIG_FLAGS, RUN_FLAGS } from "./flags.ts";
import { type RunOptions, runOptions } from "./options.ts";
import { version } from "./version.ts";

export const run = async (raw: readonly string[], form: Form): Promise<number> => {
  const args = readArguments(raw, { ...RUN_FLAGS, ...CONFIG_FLAGS, ...COMMON_FLAGS });
  if (args.has("version")) {
    process.stdout.write(`provium ${version}\n`);
    return EXIT_PASSED;
  }
  const options = (): RunOptions => runOptions(args, form, process.cwd(), process.env);
  return args.has("watch") ? executeWatching(options, process.env) : execute(options(), process.env);
};

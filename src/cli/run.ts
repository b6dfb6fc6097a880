/** `provium [PATHS]` and `provium test [PATHS]`. */

import type { Form } from "../dispatch/discover.ts";
import { readArguments } from "./arguments.ts";
import { execute } from "./execute.ts";
import { EXIT_PASSED } from "./exit.ts";
import { COMMON_FLAGS, CONFIG_FLAGS, RUN_FLAGS } from "./flags.ts";
import { runOptions } from "./options.ts";
import { version } from "./version.ts";

export const run = async (raw: readonly string[], form: Form): Promise<number> => {
  const args = readArguments(raw, { ...RUN_FLAGS, ...CONFIG_FLAGS, ...COMMON_FLAGS });
  if (args.has("version")) {
    process.stdout.write(`provium ${version}\n`);
    return EXIT_PASSED;
  }
  return execute(runOptions(args, form, process.cwd(), process.env), process.env);
};

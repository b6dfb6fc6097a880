/** `provium.toml` for the commands that are no run: a run tells its warnings as notices, here they are said at once. */

import { loadConfig } from "../config/load.ts";
import type { Config } from "../config/schema.ts";
import { visible } from "../report/text.ts";
import type { Arguments } from "./arguments.ts";

export const sayWarnings = ({ warnings }: Config): void => {
  for (const text of warnings) process.stderr.write(`provium: warning: ${visible(text)}\n`);
};

/** Throws `ConfigError`. */
export const projectConfig = (args: Arguments, paths: readonly string[] = []): Config => {
  const config = loadConfig(args.text("config"), process.cwd(), paths);
  sayWarnings(config);
  return config;
};

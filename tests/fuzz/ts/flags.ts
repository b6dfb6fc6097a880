/** Command lines of any kind, one word behind another with NUL between: options, or a `UsageError`. */

import { readArguments } from "../../../src/cli/arguments.ts";
import { CONFIG_FLAGS, RUN_FLAGS } from "../../../src/cli/flags.ts";
import { runOptions } from "../../../src/cli/options.ts";
import { routeCommand } from "../../../src/cli/route.ts";
import { defaultConfig } from "../../../src/config/load.ts";
import { UsageError } from "../../../src/errors/errors.ts";
import { must, type Target } from "../target.ts";

const FLAGS = { ...CONFIG_FLAGS, ...RUN_FLAGS };
const CONFIG = defaultConfig("/project", { HOME: "/home/me" });

export const flags: Target = {
  name: "flags",
  source: import.meta.file,
  seeds: [
    "tests\0--tag\0net\0--no-tag=slow\0-vq\0--jobs\x004\0--timeout=5m",
    "--seed\x00123\0--mem\x0020GiB\0--cpus=2\0--cpu-overcommit\x001.5\0--\0-x",
    "--reporter\0junit=a.xml\0--reporter=html=b\0--save-events\0e\0--events-stdout\0--json",
    "test\0a.lua\0--vmm\0local\0--accel\0tcg\0--transport=serial\0--network\0user\0--ksm\0--no-ksm",
  ],
  words: [
    ...Object.keys(FLAGS).map((name) => `--${name}`),
    ...[
      "\0",
      "=",
      "--",
      "-",
      "-v",
      "-h",
      "local",
      "1e309",
      "-1",
      "0",
      "5m",
      "9e99h",
      "__proto__",
      "--__proto__=1",
    ],
    ...["--constructor", "--toString", "--no-", "plain", "html", "99999999999999999999", "0x10", "NaN"],
  ],
  run: (input) => {
    const words = new TextDecoder().decode(input).split("\0");
    try {
      routeCommand(words, "/project");
      const options = runOptions(readArguments(words, FLAGS), "lab", "/project", {}, CONFIG);
      must(options.timeoutMs >= 0 && !Number.isNaN(options.timeoutMs), "a deadline is a duration");
      must(options.jobs === undefined || options.jobs >= 1, "at least one job");
      must(options.seed >= 0n && options.seed < 2n ** 64n, "a seed has 64 bits");
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
    }
  },
};

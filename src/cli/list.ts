/** `provium list`: the files that would run, one path a line; with `-v` their dialect too. */

import { discover } from "../dispatch/discover.ts";
import { fixtureTitles } from "../dispatch/fixture-files.ts";
import { dialectOf } from "../runner/dialect.ts";
import { readArguments } from "./arguments.ts";
import { COMMON_FLAGS, CONFIG_FLAGS, type Flags, RUN_FLAGS } from "./flags.ts";
import { renderHelp } from "./help.ts";
import { projectConfig } from "./project.ts";

export const FLAGS: Flags = {
  filter: RUN_FLAGS.filter,
  verbose: { ...RUN_FLAGS.verbose, description: "the dialect of each file as well" },
  fixtures: {
    type: "boolean",
    group: "Which tests",
    description: "the fixtures instead of the tests",
  },
  profiles: { type: "boolean", group: "Which tests", description: "the profiles instead of the tests" },
  ...CONFIG_FLAGS,
  help: COMMON_FLAGS.help,
};

export const list = async (raw: readonly string[]): Promise<number> => {
  const args = readArguments(raw, FLAGS);
  if (args.has("help")) {
    process.stdout.write(
      renderHelp({
        usage: ["provium list [PATHS] [FLAGS]", "provium list test [PATHS] [FLAGS]"],
        about: "Prints the test files that would run. `list test` follows the rules of `provium test`.",
        flags: FLAGS,
      }),
    );
    return 0;
  }
  const directory = process.cwd();
  const [first, ...others] = args.words;
  const classic = first === "test";
  const paths = classic ? others : args.words;
  const config = projectConfig(args, paths);
  const filter = args.text("filter") ?? "";
  if (args.has("profiles")) {
    for (const name of Object.keys(config.profiles).sort())
      if (name.includes(filter)) process.stdout.write(`${name}\n`);
    return 0;
  }
  if (args.has("fixtures")) {
    const roots = config.roots.length > 0 ? config.roots : [directory];
    for (const title of fixtureTitles({ project: config.project, roots }))
      if (title.includes(filter)) process.stdout.write(`${title}\n`);
    return 0;
  }
  const files = discover({
    form: classic ? "classic" : "lab",
    paths,
    directory,
    roots: config.roots,
    dialectOf,
  }).filter((file) => file.path.includes(filter));
  for (const file of files)
    process.stdout.write(args.has("verbose") ? `${file.dialect.padEnd(7)} ${file.path}\n` : `${file.path}\n`);
  return 0;
};

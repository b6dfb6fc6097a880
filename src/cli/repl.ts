/** `provium repl PROFILE`: a booted machine and a Lua prompt with everything that tests have. */

import { join } from "node:path";
import { assetCache } from "../assets/extract.ts";
import { loadConfig } from "../config/load.ts";
import { UsageError } from "../errors/errors.ts";
import { palette } from "../report/colours.ts";
import { readArguments } from "./arguments.ts";
import { MACHINE_FLAGS, runErrand } from "./errand.ts";
import { EXIT_FAILED, EXIT_PASSED, EXIT_UNABLE } from "./exit.ts";
import { COMMON_FLAGS, CONFIG_FLAGS, type Flags } from "./flags.ts";
import { renderHelp } from "./help.ts";
import { runOptions } from "./options.ts";
import { PipedPrompt } from "./piped-prompt.ts";
import { TerminalPrompt } from "./terminal-prompt.ts";

export const FLAGS = {
  name: {
    type: "string",
    valueHint: "NAME",
    group: "How they run",
    description: "what the machine is called (repl)",
  },
  fixture: {
    type: "string",
    valueHint: "PATH",
    group: "How they run",
    description: "start from the snapshot of this fixture; the profile is the fixture's own",
  },
  ...MACHINE_FLAGS,
  ...CONFIG_FLAGS,
  help: COMMON_FLAGS.help,
} as const satisfies Flags;

const ABOUT = `Boots the profile and opens a Lua prompt with the whole API. The machine is \`vm\`, and \`provium.repl\` in the
lab. Expressions are shown; what is not complete goes on in the next line; Tab completes; Ctrl-C ends what runs;
Ctrl-D leaves and ends every machine. Lua may also come through a pipe: the exit status is 1 when a piece failed.
`;

export const repl = async (raw: readonly string[]): Promise<number> => {
  const args = readArguments(raw, FLAGS);
  if (args.has("help")) {
    const usage = ["provium repl PROFILE [FLAGS]", "provium repl --fixture PATH [FLAGS]"];
    process.stdout.write(renderHelp({ usage, about: ABOUT, flags: FLAGS }));
    return EXIT_PASSED;
  }
  const fixture = args.text("fixture");
  const [named, ...surplus] = args.words;
  if (surplus.length > 0) throw new UsageError(`repl takes one profile; \`${surplus[0]}\` is one too many`);
  const config = loadConfig(args.text("config"), process.cwd());
  const known = Object.keys(config.profiles).sort();
  if (named === undefined && fixture === undefined)
    throw new UsageError(`repl: which profile? (known: ${known.join(", ")})`, {
      hint: `provium repl ${known[0]}`,
    });
  const errand = {
    kind: "prompt",
    vm: args.text("name") ?? "repl",
    profile: named ?? (known[0] as string),
    fixture,
  } as const;
  const options = { ...runOptions(args, "lab", process.cwd(), process.env, config), paths: [] };
  const colour = palette(process.stdout, process.env);
  const about = fixture === undefined ? errand.profile : fixture;
  const greeting = (vm: string): string =>
    `${colour.good(about)} is up as \`vm\`${vm === "repl" ? "" : ` and \`provium.${vm}\``}. Try vm:run("uname -a"), Tab, Ctrl-D.`;
  const cache = assetCache(process.env);
  const person =
    process.stdin.isTTY && process.stdout.isTTY
      ? new TerminalPrompt(greeting, cache === undefined ? undefined : join(cache, "../repl-history"))
      : new PipedPrompt();
  const end = await runErrand(options, process.env, errand, person, args);
  if (end.interrupted) return end.status;
  if (!end.done) return EXIT_UNABLE;
  return person instanceof PipedPrompt && person.failed ? EXIT_FAILED : EXIT_PASSED;
};

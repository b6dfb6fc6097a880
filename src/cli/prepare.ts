/** `provium prepare [PROFILES]`: runs the build commands of profiles now, with all that they print. */

import { assetPath } from "../assets/extract.ts";
import { UsageError } from "../errors/errors.ts";
import { suggestion } from "../errors/suggest.ts";
import { RunDirectory, runBase } from "../sys/directory.ts";
import { readArguments } from "./arguments.ts";
import { buildProfiles } from "./build.ts";
import { EXIT_PASSED } from "./exit.ts";
import { COMMON_FLAGS, CONFIG_FLAGS } from "./flags.ts";
import { renderHelp } from "./help.ts";
import { projectConfig } from "./project.ts";
import { Interruption } from "./signals.ts";

export const FLAGS = { ...CONFIG_FLAGS, help: COMMON_FLAGS.help };

const ABOUT = `Runs the build commands of the profiles named (of all profiles without names), one after another. A run does this
itself for the profiles that its tests name; see \`build\` in provium.toml.
`;

export const prepare = async (raw: readonly string[]): Promise<number> => {
  const args = readArguments(raw, FLAGS);
  if (args.has("help")) {
    process.stdout.write(renderHelp({ usage: ["provium prepare [PROFILES]"], about: ABOUT, flags: FLAGS }));
    return EXIT_PASSED;
  }
  const { profiles } = projectConfig(args);
  const names = args.words;
  const known = Object.keys(profiles).sort();
  for (const name of names)
    if (!Object.hasOwn(profiles, name))
      throw new UsageError(`prepare: there is no profile \`${name}\` (${suggestion(name, known)})`);
  const wanted = Object.values(profiles).filter(({ name }) => names.length === 0 || names.includes(name));
  const built = wanted.filter(({ build }) => build !== undefined);
  const say = (text: string): void => void process.stderr.write(`provium: ${text}\n`);
  for (const { name, build } of wanted)
    if (build === undefined && names.length > 0) say(`profile \`${name}\` has nothing to build`);
  if (built.length === 0 && names.length === 0) say("no profile has a build command");
  using interruption = new Interruption();
  using directory = RunDirectory.open(runBase(process.env));
  await buildProfiles(built, {
    helper: assetPath("helper", directory.path),
    environment: process.env,
    show: true,
    say,
    onInterrupt: (listener) => interruption.listen(listener),
  });
  return interruption.status ?? EXIT_PASSED;
};

/** `provium merge FILES`: the recordings of several shards as one report with one exit status. */

import { defaultConfig } from "../config/load.ts";
import { joinRecordings } from "../dispatch/join.ts";
import { UsageError } from "../errors/errors.ts";
import { readArguments } from "./arguments.ts";
import { EXIT_FAILED, EXIT_PASSED, EXIT_UNABLE } from "./exit.ts";
import { COMMON_FLAGS, RUN_FLAGS } from "./flags.ts";
import { renderHelp } from "./help.ts";
import { outputOptions } from "./output.ts";
import { Reporting } from "./reporting.ts";

export const FLAGS = {
  reporter: RUN_FLAGS.reporter,
  verbose: RUN_FLAGS.verbose,
  quiet: RUN_FLAGS.quiet,
  json: RUN_FLAGS.json,
  coverage: RUN_FLAGS.coverage,
  "save-events": {
    ...RUN_FLAGS["save-events"],
    description: "the joined events as a recording of their own",
  },
  "events-stdout": { ...RUN_FLAGS["events-stdout"], description: "the joined events on standard output" },
  help: COMMON_FLAGS.help,
};

const ABOUT =
  "Joins what the shards of a run have recorded with --save-events into one report. Exits with 0 when every file of\nevery shard passed, with 1 when one did not, was cut off or is missing.";

export const merge = async (raw: readonly string[]): Promise<number> => {
  const args = readArguments(raw, FLAGS);
  if (args.has("help")) {
    process.stdout.write(renderHelp({ usage: ["provium merge FILES [FLAGS]"], about: ABOUT, flags: FLAGS }));
    return EXIT_PASSED;
  }
  const names = args.words;
  if (names.length === 0)
    throw new UsageError("merge needs the recordings to join", {
      hint: "provium merge shard-1.events shard-2.events",
    });
  if (new Set(names).size < names.length) throw new UsageError("a recording is named twice");
  const directory = process.cwd();
  const options = outputOptions(args, directory, defaultConfig(directory, process.env), names);
  const events = joinRecordings(names);
  // The first event comes when every recording has been looked through: nothing is written for what cannot be joined.
  const first = events.next();
  const reporting = await Reporting.open(options, process.env);
  let status = EXIT_PASSED;
  let complete = true;
  try {
    for (let next = first; !next.done; next = events.next()) {
      const event = next.value;
      if (event.kind === "file_completed" && event.payload.status !== "passed") status = EXIT_FAILED;
      if (event.kind === "run_completed" && event.payload.interrupted) status = EXIT_FAILED;
      reporting.stream.pass(event);
      if (reporting.stream.congested) await reporting.relieved();
    }
  } finally {
    complete = await reporting.close();
  }
  return complete || status !== EXIT_PASSED ? status : EXIT_UNABLE;
};

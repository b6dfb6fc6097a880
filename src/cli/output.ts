/** What a run is to leave behind: reporters and event sinks, from flags and `provium.toml`. */

import { resolve } from "node:path";
import { type ReporterName, readReporter } from "../config/reporters.ts";
import type { Config } from "../config/schema.ts";
import { UsageError } from "../errors/errors.ts";
import type { Arguments } from "./arguments.ts";
import { refuseWrongOutputs, type Written } from "./written.ts";

export interface ReporterChoice {
  readonly name: ReporterName;
  /** Absolute; undefined for standard output. */
  readonly file: string | undefined;
}

export interface OutputOptions {
  readonly detail: "normal" | "verbose" | "quiet";
  readonly reporters: readonly ReporterChoice[];
  /** Absolute. */
  readonly saveEvents: string | undefined;
  readonly eventsStdout: boolean;
  readonly eventsSocket: string | undefined;
  readonly operations: boolean;
  /** Print afterwards which sections the tests cover. */
  readonly coverage: boolean;
}

/** The reporters that are asked for; the text one serves standard output when no other does. */
const chosen = (args: Arguments, directory: string, config: Config): readonly ReporterChoice[] => {
  const choice = (text: string, from: string): ReporterChoice => {
    const wish = readReporter(text);
    if (typeof wish === "string") throw new UsageError(`--reporter: ${wish}`);
    return { name: wish.name, file: wish.file === undefined ? undefined : resolve(from, wish.file) };
  };
  const fromFlags = args.texts("reporter").map((text) => choice(text, directory));
  const fromFile = (config.reporters ?? []).map((text) => choice(text, config.project));
  const asked = fromFlags.length > 0 ? fromFlags : fromFile;
  const all: ReporterChoice[] = [
    ...asked,
    ...(args.has("json") ? [{ name: "json", file: undefined } as const] : []),
  ];
  const standard = all.filter(({ file }) => file === undefined);
  if (standard.length > 1)
    throw new UsageError(
      `only one reporter can have standard output; ${standard.map(({ name }) => name).join(" and ")} want it`,
      { hint: "give the others a file: --reporter NAME=FILE" },
    );
  return standard.length > 0 ? all : [{ name: "plain", file: undefined }, ...all];
};

const fileOf = ({ name, file }: ReporterChoice): Written[] =>
  file === undefined ? [] : [{ what: `--reporter ${name}=${file}`, path: file }];

/** `read` are files that the command reads. Throws `UsageError` or `ConfigError`. */
export const outputOptions = (
  args: Arguments,
  directory: string,
  config: Config,
  read: readonly string[] = [],
): OutputOptions => {
  if (args.has("verbose") && args.has("quiet"))
    throw new UsageError("--verbose and --quiet exclude each other");
  if (args.has("json") && args.has("events-stdout"))
    throw new UsageError("--json and --events-stdout exclude each other: both want standard output");
  const absolute = (flag: string): string | undefined => {
    const path = args.text(flag);
    return path === undefined ? undefined : resolve(directory, path);
  };
  const reporters = chosen(args, directory, config);
  const saved = ["save-events", "save-timings"].flatMap((flag) => {
    const path = absolute(flag);
    return path === undefined ? [] : [{ what: `--${flag} ${args.text(flag)}`, path }];
  });
  refuseWrongOutputs([...reporters.flatMap(fileOf), ...saved], read);
  return {
    detail: args.has("verbose") ? "verbose" : args.has("quiet") ? "quiet" : "normal",
    reporters,
    saveEvents: absolute("save-events"),
    eventsStdout: args.has("events-stdout"),
    eventsSocket: absolute("events-socket"),
    operations: args.has("operations"),
    coverage: args.has("coverage"),
  };
};

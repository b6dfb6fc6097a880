/** What a command line, the environment and `provium.toml` say together: the flag wins, then the environment, then the file. */

import { randomInt } from "node:crypto";
import { resolve } from "node:path";
import { loadConfig } from "../config/load.ts";
import type { Config } from "../config/schema.ts";
import type { Form } from "../dispatch/discover.ts";
import type { Surroundings } from "../dispatch/dispatcher.ts";
import { DEFAULT_LIMITS, type Pressure } from "../dispatch/pressure.ts";
import { UsageError } from "../errors/errors.ts";
import type { TestFilter } from "../runner/protocol.ts";
import type { Errand } from "../runner/talk.ts";
import {
  type Accel,
  type Arguments,
  accelFromEnvironment,
  clampedFlag,
  countFlag,
  durationFlag,
  type NetworkWish,
  networkFromEnvironment,
  numberFlag,
  seedFlag,
  sizeFlag,
} from "./arguments.ts";
import { type OutputOptions, outputOptions } from "./output.ts";
import { rerunWords } from "./rerun.ts";
import { type Selection, selectionOf } from "./selection.ts";

const DEFAULT_TIMEOUT_MS = 300_000;

export interface RunOptions {
  readonly config: Config;
  readonly form: Form;
  readonly paths: readonly string[];
  readonly directory: string;
  readonly selection: Selection;
  /** How often a file that failed is run again. */
  readonly retries: number;
  readonly keep: boolean;
  /** Run the build commands of profiles. */
  readonly build: boolean;
  readonly preflight: "auto" | "strict" | "off";
  /** Absolute. */
  readonly saveTimings: string | undefined;
  readonly tests: TestFilter;
  readonly vmm: "qemu" | "local";
  readonly accel: Accel;
  readonly transport: "auto" | "vsock" | "serial";
  readonly network: NetworkWish;
  /** The user that QEMU runs as; undefined: whoever runs this. */
  readonly runAs: string | undefined;
  readonly jobs: number | undefined;
  readonly memoryBytes: number | undefined;
  readonly cpus: number | undefined;
  readonly cpuOvercommit: number;
  /** From where on the host counts as pressed. */
  readonly pressure: Pressure;
  readonly ksm: boolean;
  readonly timeoutMs: number;
  readonly failFast: boolean;
  readonly output: OutputOptions;
  /** Where the random sequences of all files start: 64 bits. */
  readonly seed: bigint;
  /** The command line that repeats one file; see `run_started`. */
  readonly rerun: readonly string[];
  /** Instead of tests: an errand, and who is behind it. */
  readonly visit?: Visit;
}

export interface Visit {
  readonly errand: Errand;
  readonly hear: NonNullable<Surroundings["hear"]>;
}

/** `KEY=VALUE` words, the values of one key together. */
const metaFlag = (args: Arguments, flag: string): TestFilter["tagMeta"] => {
  const wanted = new Map<string, string[]>();
  for (const text of args.texts(flag)) {
    const at = text.indexOf("=");
    if (at < 1) throw new UsageError(`--${flag} must be KEY=VALUE; it is \`${text}\``);
    const key = text.slice(0, at);
    wanted.set(key, [...(wanted.get(key) ?? []), text.slice(at + 1)]);
  }
  return [...wanted];
};

const preflightOf = (args: Arguments): RunOptions["preflight"] => {
  if (!args.has("no-preflight")) return (args.text("preflight") ?? "auto") as "auto" | "strict";
  if (args.text("preflight") === "strict")
    throw new UsageError("--no-preflight and --preflight strict exclude each other");
  return "off";
};

/** Loads the configuration unless one is given. Throws `UsageError` or `ConfigError`. */
export const runOptions = (
  args: Arguments,
  form: Form,
  directory: string,
  environment: NodeJS.ProcessEnv,
  given?: Config,
): RunOptions => {
  const paths = args.words;
  const config = given ?? loadConfig(args.text("config"), directory, paths, environment);
  const saveTimings = args.text("save-timings");
  return {
    config,
    form,
    paths,
    directory,
    selection: selectionOf(args, environment),
    retries: countFlag(args, "retries", 0) ?? config.retries ?? 0,
    keep: args.has("keep"),
    build: !args.has("no-build"),
    preflight: preflightOf(args),
    saveTimings: saveTimings === undefined ? undefined : resolve(directory, saveTimings),
    tests: {
      includeSlow: args.has("include-slow"),
      tags: args.texts("tag"),
      noTags: args.texts("no-tag"),
      names: args.texts("test"),
      tagMeta: metaFlag(args, "tag-meta"),
      noTagMeta: metaFlag(args, "no-tag-meta"),
    },
    vmm: (args.text("vmm") ?? "qemu") as RunOptions["vmm"],
    accel:
      (args.text("accel") as Accel | undefined) ??
      accelFromEnvironment(environment) ??
      config.accel ??
      "auto",
    transport: (args.text("transport") as RunOptions["transport"] | undefined) ?? config.transport ?? "auto",
    network:
      (args.text("network") as NetworkWish | undefined) ??
      networkFromEnvironment(environment) ??
      config.network ??
      "auto",
    runAs: args.text("run-as") ?? config.runAs,
    jobs: countFlag(args, "jobs") ?? config.jobs,
    memoryBytes: sizeFlag(args, "mem"),
    cpus: countFlag(args, "cpus"),
    cpuOvercommit: clampedFlag(args, "cpu-overcommit", 0.5, 8) ?? 1,
    pressure: {
      cpu: numberFlag(args, "cpu-pressure", 0, 100) ?? config.cpuPressure ?? DEFAULT_LIMITS.cpu,
      memory: numberFlag(args, "mem-pressure", 0, 100) ?? config.memoryPressure ?? DEFAULT_LIMITS.memory,
    },
    ksm: args.has("ksm") && !args.has("no-ksm"),
    timeoutMs: durationFlag(args, "timeout") ?? config.timeoutMs ?? DEFAULT_TIMEOUT_MS,
    failFast: args.has("fail-fast"),
    output: outputOptions(args, directory, config, paths),
    seed: seedFlag(args) ?? BigInt(randomInt(2 ** 32)),
    rerun: rerunWords(args, form),
  };
};

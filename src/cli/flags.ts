/** The flags, described once: the parser, the check for misspelt ones and the help text read the same table. */

import type { ArgsDef } from "citty";

/** Shown as a heading in the help; flags without a group are not shown. */
export type FlagGroup = "Which tests" | "How they run" | "What is printed" | "Events" | "Other";

export interface Flag {
  readonly type: "boolean" | "string" | "enum";
  readonly description: string;
  readonly group: FlagGroup;
  readonly alias?: string;
  readonly valueHint?: string;
  readonly options?: readonly string[];
  /** May be given several times; each value counts. */
  readonly repeatable?: boolean;
  /** An empty value means something: every text contains it, a test may be called so. Elsewhere it is a variable that was not set. */
  readonly mayBeEmpty?: boolean;
}

export type Flags = Readonly<Record<string, Flag>>;

export const COMMON_FLAGS = {
  help: { type: "boolean", alias: "h", group: "Other", description: "this page" },
  version: { type: "boolean", alias: "V", group: "Other", description: "the version" },
} as const satisfies Flags;

export const CONFIG_FLAGS = {
  config: {
    type: "string",
    valueHint: "FILE",
    group: "Other",
    description: "configuration file (provium.toml here, or the nearest above the first path)",
  },
} as const satisfies Flags;

export const RUN_FLAGS = {
  filter: {
    type: "string",
    valueHint: "TEXT",
    mayBeEmpty: true,
    group: "Which tests",
    description: "only files whose path contains TEXT",
  },
  test: {
    type: "string",
    valueHint: "NAME",
    repeatable: true,
    mayBeEmpty: true,
    group: "Which tests",
    description: "only the test with exactly this name (repeatable: any of them)",
  },
  tag: {
    type: "string",
    valueHint: "TAG",
    repeatable: true,
    group: "Which tests",
    description: "only tests with this tag (repeatable: any of them)",
  },
  "no-tag": {
    type: "string",
    valueHint: "TAG",
    repeatable: true,
    group: "Which tests",
    description: "not tests with this tag (repeatable; wins over --tag)",
  },
  "tag-meta": {
    type: "string",
    valueHint: "KEY=VALUE",
    repeatable: true,
    group: "Which tests",
    description: "only tests whose metadata says so (one value of each key named)",
  },
  "no-tag-meta": {
    type: "string",
    valueHint: "KEY=VALUE",
    repeatable: true,
    group: "Which tests",
    description: "not tests whose metadata says so (wins over --tag-meta)",
  },
  "rerun-failed": {
    type: "boolean",
    group: "Which tests",
    description: "only files that failed when they last ran",
  },
  since: {
    type: "string",
    valueHint: "FILE",
    group: "Which tests",
    description: "only files changed after FILE",
  },
  shard: {
    type: "string",
    valueHint: "I/N",
    group: "Which tests",
    description: "only part I of N; auto: as CI, Kubernetes or Slurm say in the environment",
  },
  timings: {
    type: "string",
    valueHint: "FILE",
    repeatable: true,
    group: "Which tests",
    description: "what files took (--save-timings), the same for every shard, to balance them",
  },
  watch: {
    type: "boolean",
    group: "Which tests",
    description: "run again whenever a test, a module or provium.toml changes, until Ctrl-C",
  },
  "include-slow": { type: "boolean", group: "Which tests", description: "run tests marked slow as well" },
  timeout: {
    type: "string",
    valueHint: "TIME",
    group: "How they run",
    description: "deadline of each file: seconds, or 500ms, 5s, 2m, 1h (300; 0 is none)",
  },
  "fail-fast": {
    type: "boolean",
    group: "How they run",
    description: "start no file after the first failure",
  },
  retries: {
    type: "string",
    valueHint: "N",
    group: "How they run",
    description: "run a file that failed up to N times more; passing then is reported as flaky (0)",
  },
  repeat: {
    type: "string",
    valueHint: "N",
    group: "How they run",
    description: "run every file N times",
  },
  jobs: {
    type: "string",
    valueHint: "N",
    group: "How they run",
    description: "files at a time (the number of CPUs, at least 2)",
  },
  mem: {
    type: "string",
    valueHint: "SIZE",
    group: "How they run",
    description: "memory for all machines together (80 % of the host's)",
  },
  cpus: {
    type: "string",
    valueHint: "N",
    group: "How they run",
    description: "CPUs for all machines together (all of the host's)",
  },
  "cpu-overcommit": {
    type: "string",
    valueHint: "FACTOR",
    group: "How they run",
    description: "so many times the CPUs, at least 0.5 and at most 8 (1)",
  },
  "cpu-pressure": {
    type: "string",
    valueHint: "PERCENT",
    group: "How they run",
    description: "fewer files at a time while the host is busier (50; 100 is never)",
  },
  "mem-pressure": {
    type: "string",
    valueHint: "PERCENT",
    group: "How they run",
    description: "the same for memory that tasks wait for (20)",
  },
  keep: {
    type: "boolean",
    group: "How they run",
    description: "leave the run's directory (logs of consoles, images) and say where it is",
  },
  preflight: {
    type: "enum",
    options: ["auto", "strict"],
    group: "How they run",
    description: "strict: no run where anything has to be replaced by something slower",
  },
  "no-preflight": {
    type: "boolean",
    group: "How they run",
    description: "do not say what is replaced",
  },
  "no-build": {
    type: "boolean",
    group: "How they run",
    description: "do not run the build commands of profiles",
  },
  ksm: {
    type: "boolean",
    group: "How they run",
    description: "merge equal pages of machines while the run lasts (needs root)",
  },
  "no-ksm": { type: "boolean", group: "How they run", description: "do not; as without --ksm" },
  seed: {
    type: "string",
    valueHint: "N",
    group: "How they run",
    description: "start of every random sequence; a failure names the seed that it ran with",
  },
  vmm: {
    type: "enum",
    options: ["qemu", "local"],
    group: "How they run",
    description: "qemu boots machines; local runs the agent on this host and boots nothing",
  },
  accel: {
    type: "enum",
    options: ["auto", "kvm", "tcg"],
    group: "How they run",
    description: "auto takes KVM where it really works",
  },
  transport: {
    type: "enum",
    options: ["auto", "vsock", "serial"],
    group: "How they run",
    description: "the channel to guests; auto takes vsock where it can",
  },
  network: {
    type: "enum",
    options: ["auto", "kernel", "user"],
    group: "How they run",
    description: "what carries frames of bridges; auto takes the kernel where it can do everything",
  },
  "run-as": {
    type: "string",
    valueHint: "USER",
    group: "How they run",
    description: "QEMU runs as USER instead of root (needs root)",
  },
  verbose: {
    type: "boolean",
    alias: "v",
    group: "What is printed",
    description: "every test and every boot",
  },
  quiet: {
    type: "boolean",
    alias: "q",
    group: "What is printed",
    description: "failing files and the summary",
  },
  json: { type: "boolean", group: "What is printed", description: "one JSON object a line for each file" },
  reporter: {
    type: "string",
    valueHint: "NAME[=FILE]",
    repeatable: true,
    group: "What is printed",
    description: "plain, json, junit, tap, github or html, to standard output or a file (repeatable)",
  },
  coverage: {
    type: "boolean",
    group: "What is printed",
    description: "which sections (metadata `spec`) the tests cover, after the summary",
  },
  "save-timings": {
    type: "string",
    valueHint: "FILE",
    group: "What is printed",
    description: "add what each file took to FILE, for --timings",
  },
  "save-events": {
    type: "string",
    valueHint: "FILE",
    group: "Events",
    description: "the events of the run as msgpack frames (docs/events.md)",
  },
  "events-stdout": {
    type: "boolean",
    group: "Events",
    description: "the same on standard output; text moves to standard error",
  },
  "events-socket": {
    type: "string",
    valueHint: "PATH",
    group: "Events",
    description: "the same for everybody who connects to this Unix socket",
  },
  operations: {
    type: "boolean",
    group: "Events",
    description: "an event for each request to an agent as well",
  },
} as const satisfies Flags;

/** The table in the form that citty reads. */
export const cittyArgs = (flags: Flags): ArgsDef => {
  const args: ArgsDef = {};
  for (const [name, flag] of Object.entries(flags)) {
    if (flag.repeatable) continue;
    const { type, description, alias, valueHint, options } = flag;
    args[name] = {
      type,
      description,
      ...(alias === undefined ? {} : { alias }),
      ...(valueHint === undefined ? {} : { valueHint }),
      ...(options === undefined ? {} : { options: [...options] }),
    } as ArgsDef[string];
  }
  return args;
};

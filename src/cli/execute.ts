/** One run from options to exit status: wires discovery, dispatcher, reporters and this host together. */

import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { isCompiled } from "../assets/embedded.ts";
import { assetCache, assetPath } from "../assets/extract.ts";
import { discover, type TestFile } from "../dispatch/discover.ts";
import { Dispatcher, type Outcome } from "../dispatch/dispatcher.ts";
import { defaultJobs, type Machinery, poolSize, settleMachinery } from "../dispatch/host.ts";
import { runnerStarter } from "../dispatch/runner-process.ts";
import { EVENT_PROTOCOL_VERSION, EventStream } from "../events/stream.ts";
import { palette } from "../report/colours.ts";
import { jsonReporter } from "../report/json.ts";
import { plainReporter } from "../report/plain.ts";
import { dialectOf } from "../runner/dialect.ts";
import type { Job } from "../runner/protocol.ts";
import { RunDirectory, runBase, sweepDeadRuns } from "../sys/directory.ts";
import { bootService, guestProfiles } from "./boot.ts";
import { EXIT_PASSED, exitStatus } from "./exit.ts";
import type { RunOptions } from "./options.ts";
import { Interruption } from "./signals.ts";
import { version } from "./version.ts";

/** Megabytes that the Lua state of one file may hold. */
const LUA_MEMORY_MB = 512;

const report = (stream: EventStream, options: RunOptions, environment: NodeJS.ProcessEnv): void => {
  const out = (text: string): void => void process.stdout.write(text);
  const side = (text: string): void => void process.stderr.write(text);
  if (options.json) stream.subscribe(jsonReporter({ write: out, writeText: side }));
  else
    stream.subscribe(
      plainReporter({
        detail: options.detail,
        colour: palette(process.stdout, environment),
        write: out,
        writeNotice: side,
      }),
    );
};

/** The command line of a runner: this program again, behind the helper that ties its life to ours. */
const runnerCommand = (helper: string): string[] => {
  const self = isCompiled() ? [process.execPath] : [process.execPath, join(import.meta.dir, "../main.ts")];
  return [helper, "exec", "--parent", String(process.pid), "--", ...self];
};

const bootId = (): string => {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return "unknown";
  }
};

/** Where things are kept from run to run; the run's own directory for a user without a home. */
const cacheDirectory = (environment: NodeJS.ProcessEnv, directory: RunDirectory): string => {
  const assets = assetCache(environment);
  return assets === undefined ? directory.path : dirname(assets);
};

/** The local VMM needs neither acceleration nor a choice of channel. */
const machinery = (options: RunOptions, cacheDir: string, helper: string): Machinery =>
  options.vmm === "local"
    ? { accel: "tcg", transport: options.transport === "vsock" ? "vsock" : "serial", notices: [] }
    : settleMachinery(options.accel, options.transport, {
        cacheDir,
        bootId: bootId(),
        env: process.env,
        helper,
      });

/** What `run` needs when it is not the command line that names the files. */
export interface Given {
  readonly files?: (directory: RunDirectory) => readonly TestFile[];
}

const findFiles = (options: RunOptions): readonly TestFile[] =>
  discover({
    form: options.form,
    paths: options.paths,
    directory: options.directory,
    roots: options.config.roots,
    dialectOf,
  }).filter((file) => options.filter === undefined || file.path.includes(options.filter));

/** Directories that `require` searches: the configured roots, else the directories given. */
const searchRoots = (options: RunOptions, files: readonly TestFile[]): readonly string[] => {
  if (options.config.roots.length > 0) return options.config.roots;
  const roots = new Set<string>();
  for (const { file, path } of files)
    if (file.endsWith(`/${path}`)) roots.add(file.slice(0, -path.length - 1));
  return [...roots];
};

/** Runs the tests and reports; the exit status. Throws what keeps a run from being made. */
export const execute = async (
  options: RunOptions,
  environment: NodeJS.ProcessEnv,
  given: Given = {},
): Promise<number> => {
  const started = performance.now();
  using interruption = new Interruption();
  const base = runBase(environment);
  sweepDeadRuns(base);
  using directory = RunDirectory.open(base);
  const files = given.files?.(directory) ?? findFiles(options);

  const stream = new EventStream();
  report(stream, options, environment);
  stream.emit("stream_started", { protocol_version: EVENT_PROTOCOL_VERSION, host_version: version });
  for (const warning of options.config.warnings) stream.emit("notice", { level: "warning", text: warning });
  for (const { path, dialect } of files) stream.emit("file_discovered", { path, dialect, fixture_refs: [] });
  const end = (interrupted: boolean): void =>
    stream.emit("run_completed", {
      interrupted,
      duration_ns: Math.round((performance.now() - started) * 1e6),
    });
  if (files.length === 0) {
    const below = options.paths.length > 0 ? options.paths.join(", ") : "here";
    stream.emit("notice", { level: "info", text: `no test files found (${below})` });
    end(false);
    return EXIT_PASSED;
  }

  const assets = {
    agent: assetPath("agent", directory.path, environment),
    wrapper: assetPath("wrapper", directory.path, environment),
    helper: assetPath("helper", directory.path, environment),
  };
  const cacheDir = cacheDirectory(environment, directory);
  const settled = machinery(options, cacheDir, assets.helper);
  for (const text of settled.notices) stream.emit("notice", { level: "info", text });
  const roots = searchRoots(options, files);
  const profiles = guestProfiles(options.config.profiles);
  const job = (file: TestFile): Omit<Job, "directory"> => ({
    ...file,
    roots,
    project: options.config.project,
    profiles,
    filter: options.tests,
    vmm: options.vmm,
    accel: settled.accel,
    transport: settled.transport,
    timeoutMs: options.timeoutMs,
    luaMemoryMb: LUA_MEMORY_MB,
    assets,
  });
  const boot = bootService({ assets, cacheDir });
  const dispatcher = new Dispatcher(
    {
      files,
      jobs: options.jobs ?? defaultJobs(),
      pool: poolSize(options.memoryBytes, options.cpus),
      timeoutMs: options.timeoutMs,
      failFast: options.failFast,
      draws: options.vmm === "qemu",
      job,
    },
    {
      stream,
      startRunner: runnerStarter(runnerCommand(assets.helper), environment),
      makeDirectory: (name) => directory.make(name),
      boot,
    },
  );
  interruption.listen((reason) => dispatcher.interrupt(reason));
  const outcome: Outcome = await dispatcher.run();
  end(outcome.interrupted);
  return exitStatus(outcome, interruption.status);
};

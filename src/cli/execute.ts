/** One run from options to exit status: wires discovery, dispatcher, reporters and this host together. */

import { statSync } from "node:fs";
import { join, resolve } from "node:path";
import { isCompiled } from "../assets/embedded.ts";
import { assetPath } from "../assets/extract.ts";
import { discover, type TestFile } from "../dispatch/discover.ts";
import { Dispatcher, type Outcome } from "../dispatch/dispatcher.ts";
import { defaultJobs, poolSize, runnerMemory } from "../dispatch/host.ts";
import { runnerStarter } from "../dispatch/runner-process.ts";
import { EVENT_PROTOCOL_VERSION } from "../events/stream.ts";
import { dialectOf } from "../runner/dialect.ts";
import type { Job } from "../runner/protocol.ts";
import { RunDirectory, runBase, sweepDeadRuns } from "../sys/directory.ts";
import { bootService, guestProfiles } from "./boot.ts";
import { EXIT_PASSED, EXIT_UNABLE, exitStatus } from "./exit.ts";
import { accelerationHost, cacheDirectory, machineryOf } from "./machinery.ts";
import type { RunOptions } from "./options.ts";
import { Past } from "./past.ts";
import { hostPressure } from "./pressure.ts";
import { Reporting } from "./reporting.ts";
import { locationOf } from "./rerun.ts";
import { Interruption } from "./signals.ts";
import { version } from "./version.ts";

/** Megabytes that the Lua state of one file may hold. */
const LUA_MEMORY_MB = 512;

/** The command line of a runner: this program again, behind the helper that ties its life to ours. */
const runnerCommand = (helper: string): string[] => {
  const self = isCompiled() ? [process.execPath] : [process.execPath, join(import.meta.dir, "../main.ts")];
  return [helper, "exec", "--parent", String(process.pid), "--", ...self];
};

/** What a run works on. */
export interface Given {
  readonly files: readonly TestFile[];
  /** Directories that `require` searches. */
  readonly roots: readonly string[];
  /** Where relative paths of classic files start. */
  readonly project: string;
}

const isDirectory = (path: string): boolean =>
  statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;

/** What the command line names. Without configured roots the directories given are the roots. */
const named = (options: RunOptions): Given => {
  const { config, directory, filter, form, paths } = options;
  const files = discover({ form, paths, directory, roots: config.roots, dialectOf });
  const given =
    paths.length === 0 ? [directory] : paths.map((path) => resolve(directory, path)).filter(isDirectory);
  return {
    files: files.filter((file) => filter === undefined || file.path.includes(filter)),
    roots: config.roots.length > 0 ? config.roots : given,
    project: config.project,
  };
};

/** Runs the tests and reports; the exit status. Throws what keeps a run from being made. */
export const execute = async (
  options: RunOptions,
  environment: NodeJS.ProcessEnv,
  supply: (directory: RunDirectory) => Given = () => named(options),
): Promise<number> => {
  const reporting = await Reporting.open(options.output, environment);
  let status = EXIT_UNABLE;
  try {
    status = await executeRound(options, environment, supply, reporting);
  } finally {
    // A report or a record that is incomplete must not look like success.
    if (!(await reporting.close()) && status === EXIT_PASSED) status = EXIT_UNABLE;
  }
  return status;
};

/** One round of a run: the stream gets everything from `stream_started` to `run_completed`. */
const executeRound = async (
  options: RunOptions,
  environment: NodeJS.ProcessEnv,
  supply: (directory: RunDirectory) => Given,
  reporting: Reporting,
): Promise<number> => {
  const { stream } = reporting;
  const started = performance.now();
  using interruption = new Interruption();
  interruption.announce = (text) => reporting.complain(text);
  const base = runBase(environment);
  sweepDeadRuns(base);
  using directory = RunDirectory.open(base);
  const { files, roots, project } = supply(directory);

  stream.emit("stream_started", { protocol_version: EVENT_PROTOCOL_VERSION, host_version: version });
  for (const warning of options.config.warnings) stream.emit("notice", { level: "warning", text: warning });
  const cacheDir = cacheDirectory(environment, directory);
  const past = new Past(cacheDir);
  for (const file of files) {
    const { path, dialect, claim } = file;
    const ms = past.timeOf(file);
    stream.emit("file_discovered", {
      path,
      dialect,
      fixture_refs: [],
      location: locationOf(file.file, options.directory),
      ...(claim === undefined ? {} : { declared_claim: claim }),
      ...(ms === undefined ? {} : { expected_ns: ms * 1e6 }),
    });
  }
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
  const settled = machineryOf(options, accelerationHost(environment, cacheDir, assets.helper));
  for (const text of settled.notices) stream.emit("notice", { level: "info", text });
  const profiles = guestProfiles(options.config.profiles);
  const job = (file: TestFile): Omit<Job, "directory"> => ({
    ...file,
    roots,
    project,
    profiles,
    filter: options.tests,
    vmm: options.vmm,
    accel: settled.accel,
    transport: settled.transport,
    seed: options.seed,
    network: options.network,
    operations: options.output.operations,
    timeoutMs: options.timeoutMs,
    luaMemoryMb: LUA_MEMORY_MB,
    assets,
  });
  const { accel, transport } = settled;
  const jobs = options.jobs ?? defaultJobs();
  const pool = poolSize(options.memoryBytes, options.cpus, options.cpuOvercommit);
  const { vmm, rerun, seed } = options;
  stream.emit("run_started", { jobs, pool, vmm, accel, transport, rerun, seed: String(seed) });
  const boot = bootService(
    { assets, cacheDir },
    options.vmm === "qemu" ? { profiles, accel, transport } : undefined,
  );
  using throttle = hostPressure(options, (text) => stream.emit("notice", { level: "info", text }));
  const dispatcher = new Dispatcher(
    {
      files: past.inOrder(files),
      jobs,
      pool,
      timeoutMs: options.timeoutMs,
      failFast: options.failFast,
      runnerMemory: runnerMemory(),
      draws: options.vmm === "qemu",
      job,
    },
    {
      stream,
      startRunner: runnerStarter(runnerCommand(assets.helper), environment),
      directory: (name) => join(directory.path, name),
      boot,
      pressure: throttle.pressure,
    },
  );
  interruption.listen((reason) => dispatcher.interrupt(reason));
  const outcome: Outcome = await dispatcher.run();
  const why = outcome.interrupted
    ? "the run was interrupted before its turn"
    : "the run ended before its turn";
  for (const { path } of files)
    if (!outcome.statuses.has(path))
      stream.emit("file_completed", { path, status: "not_run", duration_ns: 0, error: why });
  const forgotten = past.remember(files, outcome);
  if (forgotten !== undefined) stream.emit("notice", { level: "warning", text: forgotten });
  end(outcome.interrupted);
  return exitStatus(outcome, interruption.status);
};

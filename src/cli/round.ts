/** One round of a run, from discovery to exit status: wires the dispatcher and this host together. */

import { join } from "node:path";
import { isCompiled } from "../assets/embedded.ts";
import { assetPath } from "../assets/extract.ts";
import type { TestFile } from "../dispatch/discover.ts";
import { Dispatcher, type Outcome } from "../dispatch/dispatcher.ts";
import { defaultJobs, poolSize, runnerMemory } from "../dispatch/host.ts";
import { runnerStarter } from "../dispatch/runner-process.ts";
import { EVENT_PROTOCOL_VERSION, type EventStream } from "../events/stream.ts";
import type { Job } from "../runner/protocol.ts";
import { RunDirectory, runBase, sweepDeadRuns } from "../sys/directory.ts";
import { bootService, guestProfiles } from "./boot.ts";
import { EXIT_PASSED, exitStatus } from "./exit.ts";
import type { Given } from "./given.ts";
import { accelerationHost, cacheDirectory, machineryOf } from "./machinery.ts";
import type { RunOptions } from "./options.ts";
import { Past } from "./past.ts";
import { hostPressure } from "./pressure.ts";
import type { Reporting } from "./reporting.ts";
import { locationOf } from "./rerun.ts";
import { select } from "./selection.ts";
import { Interruption } from "./signals.ts";
import { version } from "./version.ts";

/** Megabytes that the Lua state of one file may hold. */
const LUA_MEMORY_MB = 512;

/** The command line of a runner: this program again, behind the helper that ties its life to ours. */
const runnerCommand = (helper: string): string[] => {
  const self = isCompiled() ? [process.execPath] : [process.execPath, join(import.meta.dir, "../main.ts")];
  return [helper, "exec", "--parent", String(process.pid), "--", ...self];
};

const announce = (stream: EventStream, files: readonly TestFile[], past: Past, directory: string): void => {
  for (const file of files) {
    const { path, dialect, claim } = file;
    const ms = past.timeOf(file);
    stream.emit("file_discovered", {
      path,
      dialect,
      fixture_refs: [],
      location: locationOf(file.file, directory),
      ...(claim === undefined ? {} : { declared_claim: claim }),
      ...(ms === undefined ? {} : { expected_ns: ms * 1e6 }),
    });
  }
};

export interface Round {
  readonly status: number;
  /** A signal has asked for the end. */
  readonly interrupted: boolean;
}

/** Where a round takes its files from; they may be written below the run's directory first. */
export type Supply = (directory: RunDirectory) => Given;

/** The stream of `reporting` gets everything from `stream_started` to `run_completed`. Throws what keeps a run from being made. */
export const runRound = async (
  options: RunOptions,
  environment: NodeJS.ProcessEnv,
  supply: Supply,
  reporting: Reporting,
): Promise<Round> => {
  const started = performance.now();
  const { stream } = reporting;
  using interruption = new Interruption();
  interruption.announce = (text) => reporting.complain(text);
  const base = runBase(environment);
  sweepDeadRuns(base);
  using directory = RunDirectory.open(base);
  const say = (text: string, level: "info" | "warning" = "info"): void =>
    stream.emit("notice", { level, text });
  const cacheDir = cacheDirectory(environment, directory);
  const past = new Past(cacheDir, environment);
  const given = supply(directory);
  const { files, notices } = select(given.files, options.selection, past, options.directory);

  stream.emit("stream_started", { protocol_version: EVENT_PROTOCOL_VERSION, host_version: version });
  for (const warning of options.config.warnings) say(warning, "warning");
  for (const { level, text } of notices) say(text, level);
  announce(stream, files, past, options.directory);
  const end = (interrupted: boolean): void =>
    stream.emit("run_completed", {
      interrupted,
      duration_ns: Math.round((performance.now() - started) * 1e6),
    });
  if (files.length === 0) {
    const below = options.paths.length > 0 ? options.paths.join(", ") : "here";
    say(
      given.files.length > 0
        ? `no test files selected (of ${given.files.length} found)`
        : `no test files found (${below})`,
    );
    end(false);
    return { status: EXIT_PASSED, interrupted: false };
  }

  const assets = {
    agent: assetPath("agent", directory.path, environment),
    wrapper: assetPath("wrapper", directory.path, environment),
    helper: assetPath("helper", directory.path, environment),
  };
  const {
    accel,
    transport,
    notices: replaced,
  } = machineryOf(options, accelerationHost(environment, cacheDir, assets.helper));
  if (options.preflight !== "off") for (const text of replaced) say(text);
  const profiles = guestProfiles(options.config.profiles);
  const { vmm, timeoutMs, seed, retries, failFast, keep } = options;
  const job = (file: TestFile): Omit<Job, "directory"> => ({
    ...file,
    roots: given.roots,
    project: given.project,
    profiles,
    filter: options.tests,
    vmm,
    accel,
    transport,
    seed,
    network: options.network,
    operations: options.output.operations,
    timeoutMs,
    luaMemoryMb: LUA_MEMORY_MB,
    assets,
  });
  const jobs = options.jobs ?? defaultJobs();
  const pool = poolSize(options.memoryBytes, options.cpus, options.cpuOvercommit);
  const { shard } = options.selection;
  stream.emit("run_started", {
    jobs,
    pool,
    vmm,
    accel,
    transport,
    rerun: options.rerun,
    seed: String(seed),
    ...(shard === undefined ? {} : { shard }),
  });
  const boot = bootService({ assets, cacheDir }, vmm === "qemu" ? { profiles, accel, transport } : undefined);
  using throttle = hostPressure(options, say);
  const dispatcher = new Dispatcher(
    {
      files: past.inOrder(files),
      jobs,
      pool,
      timeoutMs,
      retries,
      failFast,
      keep,
      runnerMemory: runnerMemory(),
      draws: vmm === "qemu",
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
  const why = `the run ${outcome.interrupted ? "was interrupted" : "ended"} before its turn`;
  for (const { path } of files)
    if (!outcome.statuses.has(path))
      stream.emit("file_completed", { path, status: "not_run", duration_ns: 0, error: why });
  for (const complaint of past.remember(files, outcome, options.saveTimings)) say(complaint, "warning");
  if (keep) say(`the run's directory is kept: ${directory.keep()}`);
  end(outcome.interrupted);
  return { status: exitStatus(outcome, interruption.status), interrupted: outcome.interrupted };
};

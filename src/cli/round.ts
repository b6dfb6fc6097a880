/** One round of a run, from discovery to exit status: wires the dispatcher and this host together. */

import { join } from "node:path";
import { assetPath } from "../assets/extract.ts";
import type { TestFile } from "../dispatch/discover.ts";
import { Dispatcher, type Outcome } from "../dispatch/dispatcher.ts";
import { runnerMemory } from "../dispatch/host.ts";
import { EVENT_PROTOCOL_VERSION, type EventStream } from "../events/stream.ts";
import { referenceTitle } from "../fixture/names.ts";
import { fixtureReferences } from "../fixture/references.ts";
import type { FixtureReference } from "../fixture/scan.ts";
import { RunDirectory, runBase, sweepDeadRuns } from "../sys/directory.ts";
import { EXIT_PASSED, exitStatus } from "./exit.ts";
import type { Given } from "./given.ts";
import { cacheDirectory } from "./machinery.ts";
import type { RunOptions } from "./options.ts";
import { Past } from "./past.ts";
import { hostPressure } from "./pressure.ts";
import { readyProfiles } from "./ready-profiles.ts";
import type { Reporting } from "./reporting.ts";
import { locationOf } from "./rerun.ts";
import { select } from "./selection.ts";
import { Interruption } from "./signals.ts";
import { version } from "./version.ts";
import { openWorkshop } from "./workshop.ts";

const announce = (
  stream: EventStream,
  files: readonly TestFile[],
  past: Past,
  directory: string,
  fixturesOf: (file: TestFile) => readonly string[],
): void => {
  for (const file of files) {
    const { path, dialect, claim } = file;
    const ms = past.timeOf(file);
    stream.emit("file_discovered", {
      path,
      dialect,
      fixture_refs: fixturesOf(file),
      location: locationOf(file.file, directory),
      ...(claim === undefined ? {} : { declared_claim: claim }),
      ...(ms === undefined ? {} : { expected_ns: ms * 1e6 }),
    });
  }
};

/** Whoever stands in a directory without anything of ours is told where to begin. */
const FIRST_STEPS = `no test files here. provium runs Lua tests in virtual machines:
  provium init            a project that passes, in this directory
  provium demo            a tour: small tests, one feature each
  provium repl default    a machine and a Lua prompt
  provium doctor          what this host offers
  provium --help          everything else`;

const nothingToRun = ({ paths, config }: RunOptions, found: number): string => {
  if (found > 0) return `no test files selected (of ${found} found)`;
  if (paths.length > 0) return `no test files found (${paths.join(", ")})`;
  return config.file === undefined ? FIRST_STEPS : "no test files found (here)";
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
  const { roots, project } = given;
  const places = { project, roots };
  const references = new Map<TestFile, readonly FixtureReference[]>(
    files.map((file) => [file, fixtureReferences(file.file, places)]),
  );
  const fixturesOf = (file: TestFile): readonly FixtureReference[] => references.get(file) ?? [];
  announce(stream, files, past, options.directory, (file) =>
    fixturesOf(file).map((reference) => referenceTitle(reference, places)),
  );
  const end = (interrupted: boolean): void =>
    stream.emit("run_completed", {
      interrupted,
      duration_ns: Math.round((performance.now() - started) * 1e6),
    });
  if (files.length === 0) {
    say(nothingToRun(options, given.files.length));
    end(false);
    return { status: EXIT_PASSED, interrupted: false };
  }

  const profiles = await readyProfiles(
    options.config,
    {
      files: files.map(({ file }) => file),
      roots,
      profile: options.visit?.errand.profile,
      build: options.build,
    },
    {
      helper: assetPath("helper", directory.path, environment),
      environment,
      show: false,
      say,
      onInterrupt: (listener) => interruption.listen(listener),
    },
  );
  const config = { ...options.config, profiles };
  const site = { directory, cacheDir, ...places };
  const workshop = openWorkshop({ ...options, config }, environment, site, stream);
  const { settled, pool, jobs, boot, startRunner } = workshop;
  const { accel, transport } = settled;
  const { vmm, timeoutMs, seed, retries, failFast, keep } = options;
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
      job: (file) => ({ ...workshop.job(file), errand: options.visit?.errand }),
      fixtures: workshop.fixtures,
      fixturesOf,
    },
    {
      stream,
      startRunner,
      directory: (name) => join(directory.path, name),
      boot,
      pressure: throttle.pressure,
      hear: options.visit?.hear,
    },
  );
  interruption.listen((reason) => dispatcher.interrupt(reason));
  const outcome: Outcome = await dispatcher.run();
  const why = `the run ${outcome.interrupted ? "was interrupted" : "ended"} before its turn`;
  for (const { path } of files)
    if (!outcome.statuses.has(path))
      stream.emit("file_completed", { path, status: "not_run", duration_ns: 0, error: why });
  if (options.visit === undefined)
    for (const complaint of past.remember(files, outcome, options.saveTimings)) say(complaint, "warning");
  if (keep) say(`the run's directory is kept: ${directory.keep()}`);
  end(outcome.interrupted);
  return { status: exitStatus(outcome, interruption.status), interrupted: outcome.interrupted };
};

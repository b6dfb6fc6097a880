/** One run from options to exit status: wires discovery, dispatcher, reporters and this host together. */

import { statSync } from "node:fs";
import { join, resolve } from "node:path";
import { discover, type TestFile } from "../dispatch/discover.ts";
import { Dispatcher, type Outcome } from "../dispatch/dispatcher.ts";
import { runnerMemory } from "../dispatch/host.ts";
import { EVENT_PROTOCOL_VERSION, type EventStream } from "../events/stream.ts";
import { referenceTitle } from "../fixture/names.ts";
import { fixtureReferences } from "../fixture/references.ts";
import { dialectOf } from "../runner/dialect.ts";
import { RunDirectory, runBase, sweepDeadRuns } from "../sys/directory.ts";
import { EXIT_PASSED, EXIT_UNABLE, exitStatus } from "./exit.ts";
import type { RunOptions } from "./options.ts";
import { Reporting } from "./reporting.ts";
import { locationOf } from "./rerun.ts";
import { Interruption } from "./signals.ts";
import { version } from "./version.ts";
import { openWorkshop } from "./workshop.ts";

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
    status = await executeRound(options, environment, supply, reporting.stream);
  } finally {
    // A report or a record that is incomplete must not look like success.
    if (!(await reporting.close()) && status === EXIT_PASSED) status = EXIT_UNABLE;
  }
  return status;
};

/** One round of a run: `stream` gets everything from `stream_started` to `run_completed`. */
const executeRound = async (
  options: RunOptions,
  environment: NodeJS.ProcessEnv,
  supply: (directory: RunDirectory) => Given,
  stream: EventStream,
): Promise<number> => {
  const started = performance.now();
  using interruption = new Interruption();
  const base = runBase(environment);
  sweepDeadRuns(base);
  using directory = RunDirectory.open(base);
  const { files, roots, project } = supply(directory);

  stream.emit("stream_started", { protocol_version: EVENT_PROTOCOL_VERSION, host_version: version });
  for (const warning of options.config.warnings) stream.emit("notice", { level: "warning", text: warning });
  const places = { project, roots };
  const references = new Map(files.map(({ file, path }) => [path, fixtureReferences(file, places)]));
  for (const { file, path, dialect } of files) {
    const location = locationOf(file, options.directory);
    const refs = (references.get(path) ?? []).map((reference) => referenceTitle(reference, places));
    stream.emit("file_discovered", { path, dialect, fixture_refs: refs, location });
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

  const workshop = openWorkshop(options, environment, directory, { roots, project }, stream);
  const { settled, pool, jobs } = workshop;
  const { accel, transport } = settled;
  stream.emit("run_started", { jobs, pool, vmm: options.vmm, accel, transport, rerun: options.rerun });
  const { boot, startRunner } = workshop;
  const dispatcher = new Dispatcher(
    {
      files,
      jobs,
      pool,
      timeoutMs: options.timeoutMs,
      failFast: options.failFast,
      runnerMemory: runnerMemory(),
      draws: options.vmm === "qemu",
      job: (file) => workshop.job(file),
      fixtures: workshop.fixtures,
      fixturesOf: ({ path }) => references.get(path) ?? [],
    },
    { stream, startRunner, directory: (name) => join(directory.path, name), boot },
  );
  interruption.listen((reason) => dispatcher.interrupt(reason));
  const outcome: Outcome = await dispatcher.run();
  const why = outcome.interrupted
    ? "the run was interrupted before its turn"
    : "the run ended before its turn";
  for (const { path } of files)
    if (!outcome.statuses.has(path))
      stream.emit("file_completed", { path, status: "not_run", duration_ns: 0, error: why });
  end(outcome.interrupted);
  return exitStatus(outcome, interruption.status);
};

/** A run: its reporters and sinks around one round, or around as many as are watched. */

import { EXIT_PASSED, EXIT_UNABLE } from "./exit.ts";
import { named } from "./given.ts";
import type { RunOptions } from "./options.ts";
import { strictPreflight } from "./preflight.ts";
import { Reporting } from "./reporting.ts";
import { runRound, type Supply } from "./round.ts";
import { watchRounds } from "./watch.ts";

const withReporting = async (
  options: RunOptions,
  environment: NodeJS.ProcessEnv,
  body: (reporting: Reporting) => Promise<number>,
): Promise<number> => {
  if (options.preflight === "strict" && options.vmm === "qemu") strictPreflight();
  const reporting = await Reporting.open(options.output, environment);
  let status = EXIT_UNABLE;
  try {
    status = await body(reporting);
  } finally {
    // A report or a record that is incomplete must not look like success.
    if (!(await reporting.close()) && status === EXIT_PASSED) status = EXIT_UNABLE;
  }
  return status;
};

/** Runs the tests and reports; the exit status. Throws what keeps a run from being made. */
export const execute = (
  options: RunOptions,
  environment: NodeJS.ProcessEnv,
  supply: Supply = () => named(options),
): Promise<number> =>
  withReporting(options, environment, async (reporting) => {
    const round = await runRound(options, environment, supply, reporting);
    return round.status;
  });

/** The same again and again, whenever a file changes, until a signal ends it. `reload` reads the options anew. */
export const executeWatching = (reload: () => RunOptions, environment: NodeJS.ProcessEnv): Promise<number> =>
  withReporting(reload(), environment, (reporting) => watchRounds(reload, environment, reporting));

/** The build of a fixture: its file runs once, alone, and what it returns becomes a snapshot. */

import { ApiError } from "../errors/errors.ts";
import type { FileStatus } from "../events/types.ts";
import { Recorder } from "../fixture/recorder.ts";
import { fn } from "../lua/native.ts";
import type { LuaState } from "../lua/state.ts";
import { Chunk, type SessionHost } from "./chunk.ts";
import { failureOf, furtherHint } from "./failure.ts";
import type { BuiltFixture, Job } from "./protocol.ts";
import { recordReads } from "./recording.ts";

export interface FixtureOutcome {
  readonly status: FileStatus;
  readonly clean: boolean;
  readonly error: string | undefined;
  readonly built: BuiltFixture | undefined;
}

/** A fixture makes a state for tests; the tests are elsewhere. */
const refuseTests = (state: LuaState): void => {
  for (const name of ["test", "todo"])
    state.setGlobal(
      name,
      fn(name, "(...)", "Not in a fixture.", () => {
        throw new ApiError(`${name}: a fixture has no tests`, {
          hint: "A fixture prepares machines and returns a snapshot: return vm:snapshot(). Tests go into the file that uses it.",
        });
      }),
    );
};

/** Builds the fixture of a job. `staging`: where its snapshots go. Never throws. */
export const buildFixture = (job: Job, staging: string, host: SessionHost): FixtureOutcome => {
  const recorder = new Recorder(job.file, [job.directory, staging]);
  const failed = (error: string): FixtureOutcome => ({
    status: "failed",
    clean: false,
    error,
    built: undefined,
  });
  let chunk: Chunk;
  try {
    chunk = new Chunk(job, host, recorder);
  } catch (error) {
    return failed(error instanceof Error ? error.message : String(error));
  }
  try {
    chunk.open();
    recordReads(chunk.state, recorder);
    refuseTests(chunk.state);
    const values = chunk.load().call();
    const [lost] = chunk.state.tasks.close().failures;
    if (lost !== undefined) throw lost;
    const made = host.reactor.run(chunk.surface.fixtureResult(values, staging));
    for (const file of chunk.state.sources.values()) recorder.reads(file);
    for (const profile of chunk.surface.profilesUsed()) recorder.profile(profile);
    return {
      status: "passed",
      clean: chunk.clean,
      error: undefined,
      built: { ...made, dependencies: recorder.dependencies },
    };
  } catch (error) {
    return failed(told(chunk.state, error));
  } finally {
    // Nobody uses its machines any more: what they hold is in the snapshot.
    chunk.surface.killAll();
    chunk.end();
    host.reactor.setInterrupt(undefined);
  }
};

/** The failure in full: it is told in another file, where the report does not show this one's frames. */
const told = (state: LuaState, error: unknown): string => {
  const failure = failureOf(state, error);
  const { reason, detail } = failure;
  const hint = furtherHint(failure);
  return [
    reason,
    ...(detail.traceback === undefined ? [] : [detail.traceback]),
    ...(hint === undefined ? [] : [`try: ${hint}`]),
  ].join("\n");
};

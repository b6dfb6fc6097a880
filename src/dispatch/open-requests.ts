/** Puts together what answers the runners of a run: its pool, its boot artefacts, its fixtures. */

import type { EventStream } from "../events/stream.ts";
import { type FixturePlan, Fixtures } from "./fixtures.ts";
import type { Pool } from "./pool.ts";
import { type BootArtefactsFor, type RequestContext, serveRequest } from "./requests.ts";
import type { StartRunner } from "./runner-process.ts";

export interface RequestSurroundings {
  readonly stream: EventStream;
  readonly startRunner: StartRunner;
  readonly directory: (name: string) => string;
  readonly boot: BootArtefactsFor;
}

/** `plan` undefined: machines cannot be snapshotted. */
export const openRequests = (
  plan: FixturePlan | undefined,
  pool: Pool,
  draws: boolean,
  { stream, startRunner, directory, boot }: RequestSurroundings,
): RequestContext => {
  // Builds ask for what files ask for, fixtures included.
  const context: RequestContext = {
    pool,
    boot,
    draws,
    fixtures:
      plan &&
      new Fixtures(plan, {
        stream,
        startRunner,
        directory,
        pool,
        serve: (id, request, job, reply) => serveRequest(id, request, job, context, reply),
      }),
  };
  return context;
};

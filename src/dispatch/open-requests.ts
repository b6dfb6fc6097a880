/** Puts together what answers the runners of a run: the pool, boot artefacts, fixtures. */

import type { EventStream } from "../events/stream.ts";
import type { Desk } from "./desk.ts";
import type { FixturePlan } from "./fixture-plan.ts";
import { Fixtures } from "./fixtures.ts";
import { type BootArtefactsFor, type RequestContext, serveRequest } from "./requests.ts";
import type { StartRunner } from "./runner-process.ts";

export interface RequestSurroundings {
  readonly stream: EventStream;
  readonly startRunner: StartRunner;
  readonly directory: (name: string) => string;
  readonly boot: BootArtefactsFor;
}

/** `plan` undefined: machines cannot be snapshotted. `draws` false: they draw nothing from the pool. */
export const openRequests = (
  plan: FixturePlan | undefined,
  desk: Desk,
  draws: boolean,
  { stream, startRunner, directory, boot }: RequestSurroundings,
): RequestContext => {
  // Builds ask for what files ask for, fixtures included.
  const context: RequestContext = {
    schedule: desk.wish,
    boot,
    draws,
    fixtures:
      plan &&
      new Fixtures(plan, {
        stream,
        startRunner,
        directory,
        schedule: desk.take,
        serve: (id, request, job, reply) => serveRequest(id, request, job, context, reply),
      }),
  };
  return context;
};

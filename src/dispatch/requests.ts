/** What a runner may ask for while it has a file: a share of the pool, kernel and initramfs for a boot, fixtures. */

import { HostError, ProviumError } from "../errors/errors.ts";
import type { BootArtefacts, BootRequest } from "../lab/ports.ts";
import type { Answer, Down, Job, Request } from "../runner/protocol.ts";
import { NOTHING } from "./amount.ts";
import type { Wish } from "./desk.ts";
import type { Fixtures } from "./fixtures.ts";
import type { Action } from "./schedule.ts";

/** Kernel and initramfs for a boot. Throws `ProviumError` when they cannot be had. */
export type BootArtefactsFor = (
  request: BootRequest,
  job: Pick<Job, "profiles" | "accel" | "transport">,
) => BootArtefacts | Promise<BootArtefacts>;

export interface RequestContext {
  readonly schedule: Wish;
  readonly boot: BootArtefactsFor;
  /** False: machines boot no kernel and draw nothing. */
  readonly draws: boolean;
  /** Absent where machines cannot be snapshotted. */
  readonly fixtures: Fixtures | undefined;
}

const refusal = (id: number, error: unknown): Down => ({
  type: "refusal",
  id,
  message: error instanceof Error ? error.message : String(error),
  hint: error instanceof ProviumError ? error.hint : undefined,
});

/** Answers through `reply`, now or later, exactly once. `reply` says whether the file still runs. */
export const serveRequest = (
  id: number,
  request: Request,
  job: Job,
  context: RequestContext,
  reply: (message: Down) => boolean,
): void => {
  const answer = (value: Answer): boolean => reply({ type: "answer", id, value });
  const refuse = (error: unknown): boolean => reply(refusal(id, error));
  const settle = (action: Extract<Action, { id: number }>): void => {
    if (action.act === "grant") answer({ grant: action.id });
    else refuse(new HostError(action.message, { hint: action.hint }));
  };
  const { path } = job;
  try {
    switch (request.what) {
      case "boot":
        Promise.resolve(context.boot(request.boot, job)).then(answer, refuse);
        return;
      case "fixture": {
        const { fixtures } = context;
        if (fixtures === undefined)
          throw new HostError("fixtures need machines, and --vmm local boots none", {
            hint: "Run this file with --vmm qemu.",
          });
        fixtures
          .obtain(request.fixture, job)
          .then((fixture) => answer(fixture) || fixtures.unwanted(fixture.lease), refuse);
        return;
      }
      case "restored":
        context.fixtures?.restored(request.lease);
        return;
      case "release":
        context.schedule(() => ({ event: "release", id: request.grant }));
        answer(null);
        return;
      case "draw":
      case "claim": {
        const { memoryBytes, cpus } = request;
        const amount = context.draws ? { memory_bytes: memoryBytes, cpus } : NOTHING;
        context.schedule(
          (number) =>
            request.what === "draw"
              ? { event: "draw", id: number, path, vm: request.vm, amount }
              : { event: "claim", id: number, path, amount },
          settle,
        );
        return;
      }
    }
  } catch (error) {
    refuse(error);
  }
};

/** What a runner may ask for while it has a file: a share of the pool, and kernel and initramfs for a boot. */

import { HostError, ProviumError } from "../errors/errors.ts";
import type { BootArtefacts, BootRequest } from "../lab/ports.ts";
import type { Answer, Down, Job, Request } from "../runner/protocol.ts";
import { NOTHING } from "./amount.ts";
import type { Action, Step } from "./schedule.ts";

/** Kernel and initramfs for a boot. Throws `ProviumError` when they cannot be had. */
export type BootArtefactsFor = (
  request: BootRequest,
  job: Pick<Job, "profiles" | "accel" | "transport">,
) => BootArtefacts | Promise<BootArtefacts>;

export interface RequestContext {
  /** Puts a step to the schedule under a fresh number; `settle` is called once it is granted or refused. */
  readonly schedule: (
    step: (id: number) => Step,
    settle?: (action: Extract<Action, { id: number }>) => void,
  ) => void;
  readonly boot: BootArtefactsFor;
  /** False: machines boot no kernel and draw nothing. */
  readonly draws: boolean;
}

const refusal = (id: number, error: unknown): Down => ({
  type: "refusal",
  id,
  message: error instanceof Error ? error.message : String(error),
  hint: error instanceof ProviumError ? error.hint : undefined,
});

/** Answers through `reply`, now or later, exactly once. */
export const serveRequest = (
  id: number,
  request: Request,
  job: Job,
  context: RequestContext,
  reply: (message: Down) => void,
): void => {
  const answer = (value: Answer): void => reply({ type: "answer", id, value });
  const refuse = (error: unknown): void => reply(refusal(id, error));
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

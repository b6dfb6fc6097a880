/** What a runner may ask for while it has a file: a share of the pool, and kernel and initramfs for a boot. */

import { ProviumError } from "../errors/errors.ts";
import type { BootArtefacts, BootRequest } from "../lab/ports.ts";
import type { Answer, Down, Job, Request } from "../runner/protocol.ts";
import type { Pool } from "./pool.ts";

/** Kernel and initramfs for a boot. Throws `ProviumError` when they cannot be had. */
export type BootArtefactsFor = (
  request: BootRequest,
  job: Pick<Job, "profiles" | "accel" | "transport">,
) => BootArtefacts | Promise<BootArtefacts>;

export interface RequestContext {
  readonly pool: Pool;
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
  try {
    switch (request.what) {
      case "boot":
        Promise.resolve(context.boot(request.boot, job)).then(answer, refuse);
        return;
      case "release":
        context.pool.release(request.grant);
        answer(null);
        return;
      case "draw": {
        const { memoryBytes, cpus } = request;
        const amount = context.draws ? { memory_bytes: memoryBytes, cpus } : { memory_bytes: 0, cpus: 0 };
        context.pool.draw(job.path, request.vm, amount, (grant) => answer({ grant }));
        return;
      }
    }
  } catch (error) {
    refuse(error);
  }
};

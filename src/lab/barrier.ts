/**
 * Meeting points of tasks. A barrier opens when as many callers wait at it as it asks for; then it is as new, so
 * the same name serves the next round.
 */

import { ApiError } from "../errors/errors.ts";
import { after, called, type Op, until } from "../sys/op.ts";

/** One round of one barrier. */
interface Round {
  readonly count: number;
  waiting: number;
  open: boolean;
}

export class Barriers {
  private readonly rounds = new Map<string, Round>();

  /**
   * Waits until `count` callers have arrived at `name`. True for each of them; false when the time is over first:
   * that caller has left again and counts no more. ApiError when those who wait already expect another count.
   */
  *wait(name: string, count: number, timeoutMs: number): Op<boolean> {
    if (count < 1)
      throw new ApiError(`barrier: count must be 1 or more, got number ${count}`, {
        hint: "It is the number of callers that meet.",
      });
    const round = this.rounds.get(name) ?? { count, waiting: 0, open: false };
    if (round.count !== count)
      throw new ApiError(
        `barrier \`${name}\`: ${round.waiting} already ${round.waiting === 1 ? "waits" : "wait"} for ${round.count} callers, and this one asks for ${count}`,
      );
    this.rounds.set(name, round);
    round.waiting++;
    if (round.waiting === count) {
      round.open = true;
      this.rounds.delete(name);
      return true;
    }
    try {
      yield* called(
        until(() => round.open, after(timeoutMs)),
        `barrier \`${name}\` for ${count} callers`,
      );
    } finally {
      // Expired, or ended from outside: it waits no longer.
      if (!round.open && --round.waiting === 0) this.rounds.delete(name);
    }
    return round.open;
  }
}

/** What is to be done in a guest as soon as it is not paused any more. */

import { InterruptedError } from "../errors/errors.ts";
import type { Op } from "../sys/op.ts";

interface Debt {
  readonly op: () => Op<void>;
  /** The guest has ended before. */
  readonly gone: () => void;
}

export class Owed {
  private debts: Debt[] = [];

  add(debt: Debt): void {
    this.debts.push(debt);
  }

  /** Does all of it, also where a part fails: the first failure is told. What is left once `goes` is false waits on. */
  *settle(goes: () => boolean): Op<void> {
    const failures: unknown[] = [];
    while (goes()) {
      const next = this.debts.shift();
      if (next === undefined) break;
      try {
        yield* next.op();
      } catch (error) {
        if (error instanceof InterruptedError) throw error;
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }

  /** There is no guest any more in which it could be done. */
  drop(): void {
    for (const { gone } of this.debts.splice(0)) gone();
  }
}

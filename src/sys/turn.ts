/** Work that one operation at a time does, each in its turn. */

import { type Op, until } from "./op.ts";

export class Turn {
  private taken = false;

  /** Waits until nobody works. */
  *free(): Op<void> {
    // Of several that wait for the same end one goes on and may take the turn: the others wait on.
    while (this.taken) yield* until(() => !this.taken);
  }

  /** Works when nobody else does. The turn ends with the work, also when that fails or is interrupted. */
  *take<T>(work: () => Op<T>): Op<T> {
    yield* this.free();
    this.taken = true;
    try {
      return yield* work();
    } finally {
      this.taken = false;
    }
  }
}

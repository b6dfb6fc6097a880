/** Work that several operations need and one of them does, while the others wait for it. */

import { type Op, until } from "../sys/op.ts";

export class Once<T> {
  private value: T | undefined;
  private working = false;

  constructor(private readonly work: () => Op<T>) {}

  /** The result, when there is one. */
  get made(): T | undefined {
    return this.value;
  }

  /** The result. When the work fails, who asked for it gets the error, and the next one tries again. */
  *get(): Op<T> {
    while (this.value === undefined) {
      if (this.working) {
        yield* until(() => !this.working);
        continue;
      }
      this.working = true;
      try {
        this.value = yield* this.work();
      } finally {
        this.working = false;
      }
    }
    return this.value;
  }
}

/** What a VM is in the middle of: a boot, a restore, a reset, a shutdown. One at a time; another task may call it off. */

import { InterruptedError } from "../errors/errors.ts";
import { type Op, unless } from "../sys/op.ts";

interface Current {
  /** For messages: "booting". */
  readonly what: string;
  /** It leads to where everybody who would call it off wants to go. */
  readonly final: boolean;
  off?: { readonly reason: Error; readonly order: InterruptedError };
}

export class Undertaking {
  private current: Current | undefined;

  /** Undefined when nothing is under way. */
  get what(): string | undefined {
    return this.current?.what;
  }

  get final(): boolean {
    return this.current?.final === true;
  }

  /** Ends what is under way, unless it is final, wherever it waits; who has begun it gets `reason`. */
  callOff(reason: Error): void {
    const { current } = this;
    if (current !== undefined && !current.final)
      current.off ??= { reason, order: new InterruptedError(reason.message) };
  }

  /** Throws when what is under way has been called off: the last look before its effect. */
  check(): void {
    if (this.current?.off !== undefined) throw this.current.off.order;
  }

  *run(what: string, op: Op<void>, final = false): Op<void> {
    const mine: Current = { what, final };
    this.current = mine;
    try {
      yield* unless(op, () => mine.off?.order);
    } catch (error) {
      const { off } = mine;
      if (off === undefined || (error instanceof InterruptedError && error !== off.order)) throw error;
      throw off.reason;
    } finally {
      this.current = undefined;
    }
  }
}

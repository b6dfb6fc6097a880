/**
 * Operations that may have to wait, written once and run in two ways.
 *
 * The runner has no promises: Lua calls block. An operation is a generator which yields a `Wait` wherever it
 * cannot go on; whoever runs it (the reactor for a plain call, the task scheduler for a Lua coroutine) resumes
 * it when the wait is over: with `true` when `ready()` holds, with `false` when the deadline has passed first.
 * An interruption (test deadline, cancelled task) arrives as an exception thrown at the yield, so `finally`
 * and `using` release what the operation holds.
 */

import { InterruptedError } from "../errors/errors.ts";

/** A point on the monotonic clock in milliseconds (see `monotonic`). `NEVER` is no deadline. */
export type Deadline = number;
export const NEVER: Deadline = Number.POSITIVE_INFINITY;

/** Milliseconds of a clock that never jumps. */
export const monotonic = (): number => performance.now();

/** The deadline `ms` from now; `Infinity` stays NEVER. */
export const after = (ms: number): Deadline => monotonic() + ms;

export interface Wait {
  /** Cheap and free of side effects: asked after every turn of the reactor. */
  ready(): boolean;
  readonly deadline: Deadline;
}

export type Op<T> = Generator<Wait, T, boolean>;

/** Waits for a condition. True: it holds; false: the deadline passed first. */
export function* until(ready: () => boolean, deadline: Deadline = NEVER): Op<boolean> {
  return ready() || (yield { ready, deadline });
}

/** Lets `ms` milliseconds pass. */
export function* sleep(ms: number): Op<void> {
  yield { ready: () => false, deadline: after(ms) };
}

/** The later of an answer: settled once, waited for by any number of operations. */
export class Pending<T> {
  private state: "open" | "done" | "failed" = "open";
  private value: T | undefined;
  private error: unknown;

  get settled(): boolean {
    return this.state !== "open";
  }

  get failed(): boolean {
    return this.state === "failed";
  }

  settle(value: T): void {
    if (this.settled) return;
    this.state = "done";
    this.value = value;
  }

  fail(error: unknown): void {
    if (this.settled) return;
    this.state = "failed";
    this.error = error;
  }

  /** The value, or throws the failure. Only once settled. */
  take(): T {
    if (this.state === "failed") throw this.error;
    if (this.state === "open") throw new Error("pending value taken before it was settled");
    return this.value as T;
  }

  /** Waits until settled; throws what `expired` makes when the deadline passes first. */
  *wait(deadline: Deadline, expired: () => unknown): Op<T> {
    if (!(yield* until(() => this.settled, deadline))) throw expired();
    return this.take();
  }
}

/** The operation under its name: an interruption that ends it tells what it was. */
export function* called<T>(op: Op<T>, call: string, owner?: string): Op<T> {
  try {
    return yield* op;
  } catch (error) {
    if (error instanceof InterruptedError) error.inside(call, owner);
    throw error;
  }
}

/** The operation until `failure` gives an error, which ends its wait and is thrown in it. */
export function* unless<T>(op: Op<T>, failure: () => Error | undefined): Op<T> {
  let step = op.next();
  while (!step.done) {
    const wait = step.value;
    let ready: boolean;
    try {
      ready = yield { ready: () => wait.ready() || failure() !== undefined, deadline: wait.deadline };
      const error = wait.ready() ? undefined : failure();
      if (error !== undefined) throw error;
    } catch (error) {
      step = op.throw(error);
      continue;
    }
    step = op.next(ready);
  }
  return step.value;
}

/** More waits than any clean-up has: an operation that goes on after as many orders to end is left where it is. */
export const MOST_ORDERS = 1000;

/**
 * Ends an operation at its current wait and at each one that its clean-up comes to, so that all of it runs now.
 * What it throws is the echo of the order and not told.
 */
export const interrupt = (op: Op<unknown>, order: InterruptedError): void => {
  try {
    for (let i = 0; i < MOST_ORDERS; i++) if (op.throw(order).done) return;
  } catch {
    // It has ended.
  }
};

/** An operation that has been begun, up to its first wait, and is finished later; a failure is told then. */
export class Begun<T> {
  private wait: Wait | undefined;
  private result: { readonly value: T } | { readonly error: unknown } | undefined;
  /** Its code is on the stack, or somebody waits for the end of it. */
  private taken = false;

  constructor(private readonly op: Op<T>) {
    this.step(() => op.next());
  }

  /** When it wants to go on at the latest. */
  get deadline(): Deadline {
    return this.taken ? NEVER : (this.wait?.deadline ?? NEVER);
  }

  /** Whether it can go on now. */
  get due(): boolean {
    const { wait } = this;
    return wait !== undefined && !this.taken && (wait.ready() || monotonic() >= wait.deadline);
  }

  /** Lets it go on, up to its next wait, where it can. */
  advance(): void {
    const { wait } = this;
    if (wait === undefined || !this.due) return;
    this.taken = true;
    this.step(() => this.op.next(wait.ready()));
    this.taken = false;
  }

  /** Waits for the rest of it. Once only. */
  *finish(): Op<T> {
    this.taken = true;
    while (this.wait !== undefined) {
      let ready: boolean;
      try {
        ready = yield this.wait;
      } catch (error) {
        this.step(() => this.op.throw(error));
        continue;
      }
      this.step(() => this.op.next(ready));
    }
    return this.take();
  }

  /** Ends it where it stands; its result, if it has come to one already. */
  abandon(order: InterruptedError): T | undefined {
    const { result, wait } = this;
    this.wait = undefined;
    if (wait !== undefined) interrupt(this.op, order);
    return result !== undefined && "value" in result ? result.value : undefined;
  }

  private take(): T {
    const { result } = this;
    if (result === undefined) throw new Error("an operation was finished after it had been abandoned");
    if ("error" in result) throw result.error;
    return result.value;
  }

  private step(go: () => IteratorResult<Wait, T>): void {
    this.wait = undefined;
    try {
      const step = go();
      if (step.done) this.result = { value: step.value };
      else this.wait = step.value;
    } catch (error) {
      this.result = { error };
    }
  }
}

/** One operation under way among several. */
class Strand<T> {
  wait: Wait | undefined;
  done = false;
  result: T | undefined;

  constructor(readonly op: Op<T>) {
    this.take(op.next());
  }

  get due(): boolean {
    const wait = this.wait;
    return wait !== undefined && (wait.ready() || monotonic() >= wait.deadline);
  }

  advance(): void {
    const wait = this.wait;
    if (wait !== undefined) this.take(this.op.next(wait.ready()));
  }

  abandon(order: InterruptedError): void {
    if (this.done) return;
    this.done = true;
    this.wait = undefined;
    interrupt(this.op, order);
  }

  private take(step: IteratorResult<Wait, T>): void {
    if (step.done) {
      this.done = true;
      this.wait = undefined;
      this.result = step.value;
    } else this.wait = step.value;
  }
}

/** Runs operations side by side; results in the order given. The first failure ends the others and is thrown. */
export function* all<T>(ops: readonly Op<T>[]): Op<T[]> {
  const strands: Strand<T>[] = [];
  try {
    for (const op of ops) strands.push(new Strand(op));
    for (;;) {
      const open = strands.filter((strand) => !strand.done);
      if (open.length === 0) return strands.map((strand) => strand.result as T);
      const due = open.filter((strand) => strand.due);
      if (due.length === 0) {
        const deadline = Math.min(...open.map((strand) => strand.wait?.deadline ?? NEVER));
        yield { ready: () => open.some((strand) => strand.wait?.ready() === true), deadline };
      } else {
        // A deadline that has passed: what has arrived already is served before the answer is no.
        if (due.some((strand) => strand.wait?.ready() === false)) yield { ready: () => false, deadline: 0 };
        for (const strand of due) strand.advance();
      }
    }
  } catch (error) {
    const order =
      error instanceof InterruptedError
        ? error
        : new InterruptedError("another operation of the group failed", { cause: error });
    for (const strand of strands) strand.abandon(order);
    throw error;
  }
}

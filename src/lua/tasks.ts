/**
 * Tasks: operations that go on while something else waits. Whoever waits (`run`) advances every task that can
 * go on; nobody has to be in charge. A task never runs inside itself: while its code is on the stack it is left
 * alone, so a wait in a place where Lua cannot yield still lets the other tasks run.
 */

import { ApiError, InterruptedError } from "../errors/errors.ts";
import { type Deadline, MOST_ORDERS, monotonic, NEVER, type Op, until, type Wait } from "../sys/op.ts";
import type { Reactor } from "../sys/reactor.ts";

/** Lets the reactor serve what has arrived: tasks that are always due (one that polls, say) must not keep it from that. */
const LOOK: Wait = { ready: () => false, deadline: 0 };

export class Task<T = unknown> {
  private wait: Wait | undefined;
  private active = false;
  private stop: InterruptedError | undefined;
  private failure: { readonly error: unknown } | undefined;
  private result: T | undefined;
  /** It was ended by its cancellation. */
  private cancelled = false;
  /** Which of its calls a cancellation has ended. */
  interrupted: string | undefined;
  /** Somebody has asked for the outcome. */
  observed = false;
  done = false;

  constructor(private readonly op: Op<T>) {}

  get failed(): boolean {
    return this.failure !== undefined;
  }

  get state(): "running" | "done" | "cancelled" | "failed" {
    if (!this.done) return "running";
    if (this.cancelled) return "cancelled";
    return this.failed ? "failed" : "done";
  }

  /** When the task wants to go on at the latest. */
  get deadline(): Deadline {
    if (this.active || this.done) return NEVER;
    return this.wait === undefined || this.stop !== undefined ? 0 : this.wait.deadline;
  }

  /** Whether it can go on. */
  due(now: Deadline): boolean {
    if (this.active || this.done) return false;
    const wait = this.wait;
    return wait === undefined || this.stop !== undefined || wait.ready() || now >= wait.deadline;
  }

  /** Whether it would go on only because its deadline has passed. */
  late(now: Deadline): boolean {
    if (this.active || this.done || this.stop !== undefined) return false;
    const wait = this.wait;
    return wait !== undefined && now >= wait.deadline && !wait.ready();
  }

  /** Runs it up to its next wait. */
  advance(): void {
    const wait = this.wait;
    const stop = this.stop;
    this.active = true;
    this.stop = undefined;
    try {
      const step = stop !== undefined ? this.op.throw(stop) : this.op.next(wait?.ready() ?? true);
      if (step.done) this.finish(step.value);
      else this.wait = step.value;
    } catch (error) {
      this.done = true;
      this.failure = { error };
      this.cancelled = stop !== undefined && error === stop;
      if (error instanceof InterruptedError && error !== stop) {
        // The end of the whole test arrived while this task was on the stack: it is not the task's own failure.
        this.observed = true;
        throw error;
      }
    } finally {
      this.active = false;
    }
  }

  /** Interrupts it: what it holds is released before this returns, or at its next wait when it is on the stack. */
  cancel(): void {
    if (this.done) return;
    this.observed = true;
    // Its clean-up may come to further waits; each of them is interrupted as well.
    for (let orders = 0; !this.done && orders < MOST_ORDERS; orders++) {
      const stop = new InterruptedError("task cancelled");
      this.stop = stop;
      if (this.active) return;
      this.advance();
      this.interrupted ??= stop.place;
    }
  }

  /** The result; throws the failure, which for a cancelled one is no interruption of who asks. Only once done. */
  take(): T {
    this.observed = true;
    if (this.cancelled)
      throw new ApiError(
        `the task was cancelled${this.interrupted === undefined ? "" : ` inside ${this.interrupted}`}`,
      );
    if (this.failure !== undefined) {
      const { error } = this.failure;
      throw error;
    }
    return this.result as T;
  }

  /** What ended it, without taking it. */
  get error(): unknown {
    return this.failure?.error;
  }

  private finish(value: T): void {
    this.done = true;
    this.result = value;
  }
}

export class Tasks {
  private open: Task[] = [];

  constructor(private readonly reactor: Reactor) {}

  /** Starts an operation; it gets its first turn at the next wait. */
  start<T>(op: Op<T>): Task<T> {
    const task = new Task(op);
    this.open.push(task as Task);
    return task;
  }

  /** Runs an operation to its end in place; the tasks go on meanwhile. */
  run<T>(op: Op<T>): T {
    return this.reactor.run(this.attend(op));
  }

  /** Runs operations side by side. The first failure cancels the others and is thrown. */
  *all<T>(ops: readonly Op<T>[]): Op<T[]> {
    const tasks = ops.map((op) => this.start(op));
    // The first failure speaks for all: one that came at the same time is nobody's lost task.
    for (const task of tasks) task.observed = true;
    try {
      yield* until(() => tasks.every((task) => task.done) || tasks.some((task) => task.failed));
      const failed = tasks.find((task) => task.failed);
      if (failed !== undefined) failed.take();
      return tasks.map((task) => task.take());
    } catch (error) {
      for (const task of tasks) task.cancel();
      const calls = tasks.flatMap(({ interrupted }) => interrupted ?? []);
      if (error instanceof InterruptedError && calls.length > 0) error.inside(calls.join(", "));
      throw error;
    } finally {
      for (const task of tasks) task.cancel();
    }
  }

  /** Cancels what still runs; returns the failures that nobody has asked for, and the calls that this has ended. */
  close(): { readonly failures: readonly unknown[]; readonly calls: readonly string[] } {
    const tasks = this.open;
    this.open = [];
    const failures: unknown[] = [];
    const calls: string[] = [];
    for (const task of tasks) {
      const running = !task.done;
      if (task.done && task.failed && !task.observed) failures.push(task.error);
      try {
        task.cancel();
      } catch {
        // The interruption that ends the test; it is already on its way.
      }
      if (running && task.interrupted !== undefined) calls.push(task.interrupted);
    }
    return { failures, calls };
  }

  /** The operation, with a turn for every task that is due at each of its waits. */
  private *attend<T>(op: Op<T>): Op<T> {
    let step = op.next();
    while (!step.done) {
      const wait = step.value;
      let outcome: boolean | undefined;
      try {
        while (outcome === undefined) {
          if (this.open.length === 0) outcome = yield wait;
          else if (wait.ready()) outcome = true;
          else if (monotonic() >= wait.deadline) outcome = yield wait;
          else {
            const now = monotonic();
            // A deadline that has passed: what has arrived already is served before the answer is no.
            if (this.open.some((task) => task.late(now))) yield LOOK;
            yield this.turn(now) ? LOOK : this.either(wait);
          }
        }
      } catch (error) {
        step = op.throw(error);
        continue;
      }
      step = op.next(outcome);
    }
    return step.value;
  }

  /** Advances each task once that is due at that time: deadlines that pass meanwhile are for the next turn. */
  private turn(now: Deadline): boolean {
    this.open = this.open.filter((task) => !task.done || (task.failed && !task.observed));
    const due = this.open.filter((task) => task.due(now));
    for (const task of due) if (task.due(now)) task.advance();
    return due.length > 0;
  }

  private either(wait: Wait): Wait {
    return {
      ready: () => wait.ready() || this.open.some((task) => task.due(monotonic())),
      deadline: Math.min(wait.deadline, ...this.open.map((task) => task.deadline)),
    };
  }
}

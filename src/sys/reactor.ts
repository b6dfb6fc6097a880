/**
 * The one place where a runner waits: poll(2) over every descriptor that the test file owns.
 *
 * A handler runs whenever its descriptor is ready, whatever call is being waited for: a console keeps draining
 * while a command runs, and a dead machine fails whatever waits on it. Everything above is written as `Op`s.
 */

import { EINTR, errno, failed, libc } from "./libc.ts";
import { type Deadline, monotonic, NEVER, type Op, type Wait } from "./op.ts";

export const POLLIN = 1;
export const POLLOUT = 4;

/** One watched descriptor. `events` may be changed at any time; `close` stops the watch, not the descriptor. */
export interface Watch {
  events: number;
  close(): void;
}

interface Entry extends Watch {
  readonly fd: number;
  readonly handler: (events: number) => void;
  live: boolean;
}

/** A function that ends every wait by throwing, asked at each turn; undefined for none. */
export type Interrupt = () => Error | undefined;

/** Something that goes on beside what is waited for. */
export interface Tended {
  /** Whether it can go on now. */
  readonly due: boolean;
  /** When it wants to go on at the latest. */
  readonly deadline: Deadline;
  advance(): void;
}

const POLLFD_BYTES = 8;

export class Reactor {
  private entries: Entry[] = [];
  private pollfds = new DataView(new ArrayBuffer(POLLFD_BYTES * 16));
  private idle: (() => void)[] = [];
  private readonly tended = new Set<Tended>();
  private interrupt: { check: Interrupt; deadline: () => Deadline } | undefined;

  /** Calls `handler(revents)` whenever poll(2) reports `events` (or an error or hang-up) on `fd`. */
  watch(fd: number, events: number, handler: (events: number) => void): Watch {
    const entry: Entry = {
      fd,
      events,
      handler,
      live: true,
      close: () => {
        entry.live = false;
        this.entries = this.entries.filter((other) => other !== entry);
      },
    };
    this.entries = [...this.entries, entry];
    return entry;
  }

  /** Lets something go on whenever anybody waits, until what is returned is called. */
  tend(tended: Tended): () => void {
    this.tended.add(tended);
    return () => void this.tended.delete(tended);
  }

  /** Calls `act` once, as soon as nothing is ready and an operation still waits. */
  whenIdle(act: () => void): void {
    this.idle.push(act);
  }

  /** Makes every wait end with what `check` returns, as soon as it returns something; `deadline` is when to ask at the latest. */
  setInterrupt(interrupt: { check: Interrupt; deadline: () => Deadline } | undefined): void {
    this.interrupt = interrupt;
  }

  /**
   * Runs an operation to its end, turning the reactor wherever it waits. What a handler throws meanwhile is
   * thrown into the operation, so that it releases what it holds.
   */
  run<T>(op: Op<T>): T {
    let step = op.next();
    while (!step.done) {
      let ready: boolean;
      try {
        ready = this.await(step.value);
      } catch (error) {
        step = op.throw(error);
        continue;
      }
      step = op.next(ready);
    }
    return step.value;
  }

  /** True: the condition holds; false: the deadline passed first. Throws the interruption. */
  private await(wait: Wait): boolean {
    while (!wait.ready()) {
      const stop = this.interrupt?.check();
      if (stop !== undefined) throw stop;
      if (monotonic() >= wait.deadline) {
        // What has arrived already is served before the answer is no.
        this.poll();
        return wait.ready();
      }
      this.turn(Math.min(wait.deadline, this.interrupt?.deadline() ?? NEVER));
    }
    return true;
  }

  /** Waits once for any descriptor, at most until the deadline, and serves those that are ready. */
  turn(deadline: Deadline): void {
    let soonest = deadline;
    for (const one of this.tended) soonest = one.due ? 0 : Math.min(soonest, one.deadline);
    this.serve(soonest);
    for (const one of [...this.tended]) if (one.due) one.advance();
  }

  private serve(deadline: Deadline): void {
    const entries = this.entries;
    if (this.pollfds.byteLength < entries.length * POLLFD_BYTES)
      this.pollfds = new DataView(new ArrayBuffer(entries.length * 2 * POLLFD_BYTES));
    entries.forEach((entry, i) => {
      this.pollfds.setInt32(i * POLLFD_BYTES, entry.fd, true);
      this.pollfds.setInt32(i * POLLFD_BYTES + 4, entry.events, true);
    });
    const left = deadline - monotonic();
    const timeout = deadline === NEVER ? -1 : Math.max(0, Math.min(0x7fffffff, Math.ceil(left)));
    const look = timeout !== 0 && this.idle.length > 0;
    const n = libc.poll(this.pollfds as unknown as Uint8Array, entries.length, look ? 0 : timeout);
    if (n < 0) {
      const code = errno();
      if (code === EINTR) return;
      failed("poll", code);
    }
    // What was idle may be busy now, so the caller looks at what it waits for before it waits again.
    if (n === 0 && look) for (const act of this.idle.splice(0)) act();
    if (n === 0) return;
    // Read out before anybody is called: a handler may turn the reactor itself, and the answers are overwritten.
    const ready: { readonly entry: Entry; readonly revents: number }[] = [];
    entries.forEach((entry, i) => {
      const revents = this.pollfds.getInt16(i * POLLFD_BYTES + 6, true);
      if (revents !== 0) ready.push({ entry, revents });
    });
    for (const { entry, revents } of ready) if (entry.live) entry.handler(revents);
  }

  /** Serves what is ready now without waiting. */
  poll(): void {
    if (this.entries.length + this.tended.size > 0) this.turn(0);
  }
}

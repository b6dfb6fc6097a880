/**
 * The one place where a runner waits: poll(2) over every descriptor that the test file owns.
 *
 * A handler runs whenever its descriptor is ready, whatever call is being waited for: a console keeps draining
 * while a command runs, and a dead machine fails whatever waits on it. Everything above is written as `Op`s.
 */

import { EINTR, errno, failed, libc } from "./libc.ts";
import { type Deadline, monotonic, NEVER, type Op } from "./op.ts";

export const POLLIN = 1;
export const POLLOUT = 4;
export const POLLERR = 8;
export const POLLHUP = 16;

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

const POLLFD_BYTES = 8;

export class Reactor {
  private entries: Entry[] = [];
  private pollfds = new DataView(new ArrayBuffer(POLLFD_BYTES * 16));
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

  /** Makes every wait end with what `check` returns, as soon as it returns something; `deadline` is when to ask at the latest. */
  setInterrupt(interrupt: { check: Interrupt; deadline: () => Deadline } | undefined): void {
    this.interrupt = interrupt;
  }

  /** Runs an operation to its end, turning the reactor wherever it waits. */
  run<T>(op: Op<T>): T {
    let step = op.next();
    while (!step.done) {
      const wait = step.value;
      let ready = wait.ready();
      if (!ready && monotonic() >= wait.deadline) {
        // A deadline of now is a look: what has arrived already is served before the answer is no.
        this.poll();
        ready = wait.ready();
      }
      let stop: Error | undefined;
      while (!ready && monotonic() < wait.deadline) {
        stop = this.interrupt?.check();
        if (stop !== undefined) break;
        this.turn(Math.min(wait.deadline, this.interrupt?.deadline() ?? NEVER));
        ready = wait.ready();
      }
      step = stop === undefined ? op.next(ready) : op.throw(stop);
    }
    return step.value;
  }

  /** Waits once for any descriptor, at most until the deadline, and serves those that are ready. */
  turn(deadline: Deadline): void {
    const entries = this.entries;
    if (this.pollfds.byteLength < entries.length * POLLFD_BYTES)
      this.pollfds = new DataView(new ArrayBuffer(entries.length * 2 * POLLFD_BYTES));
    entries.forEach((entry, i) => {
      this.pollfds.setInt32(i * POLLFD_BYTES, entry.fd, true);
      this.pollfds.setInt32(i * POLLFD_BYTES + 4, entry.events, true);
    });
    const left = deadline - monotonic();
    const timeout = deadline === NEVER ? -1 : Math.max(0, Math.min(0x7fffffff, Math.ceil(left)));
    const n = libc.poll(this.pollfds as unknown as Uint8Array, entries.length, timeout);
    if (n < 0) {
      const code = errno();
      if (code === EINTR) return;
      failed("poll", code);
    }
    if (n === 0) return;
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[i] as Entry;
      const revents = this.pollfds.getInt16(i * POLLFD_BYTES + 6, true);
      if (revents !== 0 && entry.live) entry.handler(revents);
    }
  }

  /** Serves what is ready now without waiting. */
  poll(): void {
    if (this.entries.length > 0) this.turn(0);
  }
}

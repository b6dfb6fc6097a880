/**
 * A moment in the future as a descriptor, for what has to happen while the reactor waits for something else.
 * Waits of operations need none: they carry a deadline of their own.
 */

import { check, closeFd, libc, readSome } from "./libc.ts";
import { POLLIN, type Reactor, type Watch } from "./reactor.ts";

const CLOCK_MONOTONIC = 1;
const TFD_NONBLOCK_CLOEXEC = 0o2004000;

/** Calls `expired` once, `ms` (1 or more) from now, unless `cancel` comes first. timerfd_create(2). */
export class Timer {
  private watch: Watch | undefined;
  private readonly fd: number;

  constructor(reactor: Reactor, ms: number, expired: () => void) {
    this.fd = check("timerfd_create", libc.timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK_CLOEXEC));
    // struct itimerspec: interval (two words, 0: once), then seconds and nanoseconds of the first expiry.
    const spec = new DataView(new ArrayBuffer(32));
    spec.setBigInt64(16, BigInt(Math.floor(ms / 1000)), true);
    spec.setBigInt64(24, BigInt(Math.round((ms % 1000) * 1e6)), true);
    check("timerfd_settime", libc.timerfd_settime(this.fd, 0, spec as unknown as Uint8Array, null));
    this.watch = reactor.watch(this.fd, POLLIN, () => {
      readSome(this.fd, new Uint8Array(8));
      this.cancel();
      expired();
    });
  }

  /** Idempotent; also what happens after the expiry. */
  cancel(): void {
    if (this.watch === undefined) return;
    this.watch.close();
    this.watch = undefined;
    closeFd(this.fd);
  }
}

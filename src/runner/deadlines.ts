/**
 * When a file has to stop what it does: the deadline of the running test, that of the file, or an order of the
 * dispatcher. Asked by the reactor at each wait and by the watchdog while Lua computes.
 */

import { InterruptedError } from "../errors/errors.ts";
import { after, type Deadline, monotonic, NEVER } from "../sys/op.ts";

/** Why something was interrupted: `test` ends the test, the others end the file. */
export type Cause = "test" | "file" | "stop" | "closing";

export class DeadlineError extends InterruptedError {
  constructor(
    readonly by: Cause,
    message: string,
  ) {
    super(message);
  }
}

const seconds = (ms: number): string => (ms < 1000 ? `${ms} ms` : `${Number((ms / 1000).toFixed(3))} s`);

/** What alarm(2) counts with has 32 bits, and more than this nobody waits for. */
const LONGEST_SECONDS = 2 ** 31;

/** How long a call that cannot be interrupted (one sort of a large table) may outlast the test's deadline. */
const GRACE_MS = 2000;

export interface TestClock {
  readonly at: Deadline;
  readonly ms: number;
}

export class Deadlines {
  private running: TestClock | undefined;
  private closing: { readonly at: Deadline; readonly ms: number; readonly hasty: boolean } | undefined;
  private readonly file: Deadline;
  /** Ends the running call, and nothing else. Whoever makes the next call takes it back. */
  cancelled: string | undefined;

  /**
   * @param fileMs for the whole file, 0 for none.
   * @param stopped the dispatcher's order to end, once there is one.
   * @param lastResort ends the process unless it is called again in that many seconds; 0 calls it off.
   */
  constructor(
    private readonly fileMs: number,
    private readonly stopped: () => string | undefined,
    private readonly lastResort: (seconds: number) => void,
  ) {
    this.file = fileMs > 0 ? after(fileMs) : NEVER;
  }

  /** The clock of the running test. A test inside a test puts its own here and restores the other afterwards. */
  get clock(): TestClock | undefined {
    return this.running;
  }

  set clock(clock: TestClock | undefined) {
    if (clock === this.running) return;
    this.running = clock;
    if (clock === undefined) this.lastResort(0);
    else {
      const seconds = Math.ceil((clock.at - monotonic() + GRACE_MS) / 1000);
      this.lastResort(Math.min(LONGEST_SECONDS, Math.max(1, seconds)));
    }
  }

  /** Starts the clock of a test; undefined or 0: no deadline of its own. One that is running already goes on to count. */
  armTest(ms: number | undefined): void {
    const outer = this.clock;
    if (!ms) return;
    const at = after(ms);
    this.clock = outer !== undefined && outer.at < at ? outer : { at, ms };
  }

  /** A new deadline for the running test, counted from the test's start; as for armTest. */
  rearmTest(ms: number | undefined, since: number): void {
    this.clock = ms ? { at: since + ms, ms } : undefined;
  }

  /** While things are closed this bound counts, and the end of the file if that comes only now. */
  startClosing(ms: number): void {
    this.closing = { at: after(ms), ms, hasty: this.ended !== undefined };
  }

  endClosing(): void {
    this.closing = undefined;
  }

  /** The file must not start another test: why, and whether its time is over. */
  get ended(): DeadlineError | undefined {
    const order = this.stopped();
    if (monotonic() >= this.file)
      return new DeadlineError("file", `the file's deadline of ${seconds(this.fileMs)} has passed`);
    return order === undefined ? undefined : new DeadlineError("stop", order);
  }

  /** What to interrupt the current call with, if its time is over. */
  readonly check = (): DeadlineError | undefined => {
    const now = monotonic();
    if (this.closing !== undefined)
      return now >= this.closing.at
        ? new DeadlineError("closing", `closing took longer than ${seconds(this.closing.ms)}`)
        : this.closing.hasty
          ? undefined
          : this.ended;
    const ended = this.ended;
    if (ended !== undefined) return ended;
    if (this.cancelled !== undefined) return new DeadlineError("test", this.cancelled);
    return this.clock === undefined || now < this.clock.at
      ? undefined
      : new DeadlineError("test", `the test's deadline of ${seconds(this.clock.ms)} has passed`);
  };

  readonly next = (): Deadline =>
    Math.min(
      this.closing?.at ?? NEVER,
      this.closing?.hasty ? NEVER : this.file,
      this.closing === undefined ? (this.clock?.at ?? NEVER) : NEVER,
    );
}

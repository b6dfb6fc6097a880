/**
 * One life of a VM, from launch to its end: the machine, the talk with its agent, and what the pool lent.
 *
 * A session ends in one of two ways: it is asked to (`end`), or it breaks (`broken`): the machine died or the
 * agent's channel ended. Whoever waits on the guest then gets one error that says why and shows the console.
 */

import type { Channel } from "../channel/channel.ts";
import { ApiError, InterruptedError, ProviumError, VmDeadError } from "../errors/errors.ts";
import { after, type Deadline, monotonic, type Op, unless, until } from "../sys/op.ts";
import { attended, type Traffic } from "./liveness.ts";
import type { Guest, GuestIdentity, Machine, OpenGuest, ResumeGuest, SessionMark } from "./ports.ts";

/** How long a broken channel waits for the machine's own story (a panic event, the exit of QEMU); a busy host lets QEMU wait. */
const STORY_MS = 1000;
const TAIL_BYTES = 4096;
const TAIL_LINES = 12;
const NO_TRAFFIC: Traffic = { queued: 0, received: 0 };

/** A line of the kernel log: its time stamp makes it the only one of its kind. */
const KERNEL_LINE = /^\[ *\d+\.\d+\]/;

/** Lines of a console without blank ones. What the kernel writes to both consoles is told once. */
export const consoleText = (tail: string): readonly string[] => {
  const lines: string[] = [];
  const told = new Set<string>();
  for (const raw of tail.replaceAll("\r", "").split("\n")) {
    const line = raw.trimEnd();
    if (line === "" || line === lines.at(-1) || told.has(line)) continue;
    if (KERNEL_LINE.test(line)) told.add(line);
    lines.push(line);
  }
  return lines;
};

const PANIC_LINE = /Kernel panic - not syncing/;
/** Lines before a panic that belong to its story. */
const BEFORE_PANIC = 4;

/**
 * The last lines of a console, indented for an error message; empty when it said nothing. Of a kernel that
 * panicked the lines around the panic: the last ones are the end of a call trace.
 */
export const consoleLines = (tail: string): string => {
  const lines = consoleText(tail);
  const panic = lines.findLastIndex((line) => PANIC_LINE.test(line));
  const from = panic < 0 ? Math.max(0, lines.length - TAIL_LINES) : Math.max(0, panic - BEFORE_PANIC);
  const shown = lines.slice(from, from + TAIL_LINES);
  return shown.length === 0 ? "" : `\nlast console lines:\n  ${shown.join("\n  ")}`;
};

const sentence = (error: unknown): string => (error instanceof Error ? error.message : String(error));

export class Session {
  readonly started = monotonic();
  private channel: Channel | undefined;
  private opened: Guest | undefined;
  private ended: "asked" | "broken" | undefined;
  /** What whoever still wants something of it is told. */
  private why: Error | undefined;
  /** Why the machine is about to end, where that is wished. */
  private leaving: Error | undefined;

  constructor(
    readonly vm: string,
    readonly machine: Machine,
    private readonly openGuest: OpenGuest,
    private readonly release: () => void,
    /** Called once when the session breaks without having been asked to end. */
    private readonly onBreak: (error: VmDeadError) => void,
    /** Whether the guest can answer now: a paused one cannot. */
    private readonly awake: () => boolean = () => true,
  ) {
    machine.onDeath((reason) => this.breakDown(reason));
  }

  get guest(): Guest {
    if (this.opened !== undefined) return this.opened;
    throw this.why ?? new Error(`vm ${this.vm}: guest used before its session was open`);
  }

  /** Why the session is of no use any more, if so. */
  get broken(): Error | undefined {
    return this.machine.death ?? this.opened?.ended;
  }

  /** Whether there is somebody to talk to. */
  get isOpen(): boolean {
    return this.opened !== undefined;
  }

  /** Connects to the agent and waits for READY. */
  *open(deadline: Deadline): Op<void> {
    const { openGuest } = this;
    yield* this.begin(openGuest(yield* this.connect(deadline), deadline));
  }

  /** Goes on with the session that was parked in the machine when it was saved. */
  *goOn(
    saved: { readonly session: SessionMark; readonly guest: GuestIdentity },
    resumeGuest: ResumeGuest,
    deadline: Deadline,
    revive?: (guest: Guest) => void,
  ): Op<void> {
    const { session, guest } = saved;
    yield* this.begin(resumeGuest(() => this.connect(deadline), session, guest, deadline, revive));
  }

  private *connect(deadline: Deadline): Op<Channel> {
    this.channel = yield* this.machine.connect(deadline);
    return this.channel;
  }

  private *begin(opening: Op<Guest>): Op<void> {
    try {
      // Who hears of a death closes the channel, and a channel that is closed by us tells nobody.
      const alive = unless(opening, () => this.machine.death);
      const guest = yield* this.machine.attend?.(alive) ?? alive;
      if (this.why !== undefined) throw this.why;
      this.opened = guest;
    } catch (error) {
      this.channel?.close();
      throw error;
    }
  }

  /** Gives up the talk with the agent and opens a new one, after a reset. */
  *reopen(deadline: Deadline): Op<void> {
    this.hangUp(new ProviumError(`vm \`${this.vm}\` was reset`));
    yield* this.open(deadline);
  }

  /** Runs an operation in the guest; if the session breaks under it, the error tells that story. */
  *call<T>(operation: string, op: (guest: Guest) => Op<T>): Op<T> {
    try {
      const guest = this.guest;
      const running = this.machine.attend?.(op(guest)) ?? op(guest);
      const traffic = (): Traffic => this.channel ?? NO_TRAFFIC;
      return yield* attended(running, guest, this.awake, (reason) => this.breakDown(reason), traffic);
    } catch (error) {
      if (this.leaving !== undefined && error instanceof VmDeadError) throw this.leaving;
      if (this.ended === "asked" || this.broken === undefined || error instanceof InterruptedError)
        throw error;
      throw this.deathError(operation, yield* this.story());
    }
  }

  /** Runs an order to the machine itself; if it dies under it, the error tells that story. */
  *order<T>(operation: string, op: Op<T>): Op<T> {
    try {
      return yield* this.machine.attend?.(op) ?? op;
    } catch (error) {
      if (this.ended === "asked" || error instanceof InterruptedError || error instanceof ApiError)
        throw error;
      yield* this.deathNews();
      const { death } = this.machine;
      if (death === undefined) throw error;
      throw this.deathError(operation, death);
    }
  }

  /** The machine is on its way out by wish: what still waits on the guest fails with `reason`. */
  leave(reason: Error): void {
    this.leaving = reason;
    this.machine.expectExit();
  }

  /** Ends the session by wish: quietly, and what still waits on the guest fails with `reason`. Idempotent. */
  end(reason: Error): void {
    if (this.ended !== undefined) return;
    this.ended = "asked";
    this.why = reason;
    this.machine.expectExit();
    this.hangUp(reason);
    this.machine.close();
    this.release();
  }

  /** Ends the session as broken although the machine may live. Nothing when it has ended already. */
  fail(reason: Error): void {
    this.breakDown(reason);
  }

  deathError(operation: string | undefined, reason: Error): VmDeadError {
    const tail = this.machine.console.tail(TAIL_BYTES);
    const during = operation === undefined ? "" : ` during ${operation}`;
    return new VmDeadError(
      `vm \`${this.vm}\` died${during}: ${sentence(reason)}${consoleLines(tail)}`,
      tail,
      { cause: reason },
    );
  }

  /** Waits a moment for the machine to tell how it died, if it did: a channel may end before that is known. */
  *deathNews(): Op<void> {
    yield* until(() => this.machine.death !== undefined, after(STORY_MS));
  }

  /** The best reason known a moment after the break: the machine's, else the channel's. */
  *story(): Op<Error> {
    yield* this.deathNews();
    const reason = this.broken ?? new ProviumError("the agent is gone");
    this.breakDown(reason);
    return reason;
  }

  private breakDown(reason: Error): void {
    if (this.ended !== undefined) return;
    const error = this.deathError(undefined, reason);
    this.ended = "broken";
    this.why = error;
    this.hangUp(error);
    this.machine.expectExit();
    this.machine.close();
    this.release();
    this.onBreak(error);
  }

  private hangUp(reason: Error): void {
    const guest = this.opened;
    const channel = this.channel;
    this.opened = undefined;
    this.channel = undefined;
    guest?.close(reason);
    channel?.close();
  }
}

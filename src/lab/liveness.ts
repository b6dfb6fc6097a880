/**
 * Notices an agent that stops answering although its machine and its channel live: a guest that hangs with
 * interrupts off, a stopped QEMU. Only while a call waits: nobody asks an idle guest.
 *
 * The question is an ECHO to the agent's I/O process, which never blocks: a command or a system call that takes
 * for ever is no silence. Nor is it one while the guest still takes what stands before the question in the channel,
 * or still sends what stands before the answer: megabytes from and to an emulated guest on a loaded host take their
 * time.
 */

import { ProviumError } from "../errors/errors.ts";
import { after, type Deadline, monotonic, NEVER, type Op, type Wait } from "../sys/op.ts";
import type { Guest } from "./ports.ts";

export interface Patience {
  /** A call that has waited this long makes us ask. */
  readonly askAfterMs: number;
  /** An agent that has not answered for this long is gone. */
  readonly silenceMs: number;
}

/** Generous: an emulated guest on a loaded host is slow, and a host may stand still for ten seconds. */
const PATIENCE: Patience = { askAfterMs: 5_000, silenceMs: 20_000 };

const QUESTION = new Uint8Array([63]);

/** What shows that a channel moves. */
export interface Traffic {
  /** Bytes on their way to the guest that nobody has taken yet. */
  readonly queued: number;
  /** Bytes that have come from the guest. */
  readonly received: number;
}

/** One question under way. */
class Question {
  private readonly op: Op<Uint8Array>;
  private readonly wait: Wait | undefined;
  expires: Deadline;
  /** As of the last look. */
  private seen: Traffic;

  constructor(
    guest: Guest,
    private readonly silenceMs: number,
    private readonly traffic: () => Traffic,
  ) {
    this.expires = after(silenceMs);
    this.op = guest.echo(QUESTION);
    this.seen = this.look();
    const step = this.op.next();
    this.wait = step.done ? undefined : step.value;
  }

  get answered(): boolean {
    return this.wait?.ready() ?? true;
  }

  /** True, with a new time for the answer, where the guest has taken or sent something since this was last asked. */
  comesNearer(): boolean {
    const now = this.look();
    const nearer = now.queued < this.seen.queued || now.received > this.seen.received;
    this.seen = now;
    if (nearer) this.expires = after(this.silenceMs);
    return nearer;
  }

  private look(): Traffic {
    const { queued, received } = this.traffic();
    return { queued, received };
  }

  /** Takes the answer, or gives the question up. */
  end(): void {
    try {
      if (this.answered) this.op.next(true);
      else this.op.return(QUESTION);
    } catch {
      // The session is over: the call under way hears of it itself.
    }
  }
}

/**
 * Runs a guest call. `silent` is told, once, when the agent turns out not to answer any more; `awake` is false
 * while it cannot (a paused machine).
 */
export function* attended<T>(
  op: Op<T>,
  guest: Guest,
  awake: () => boolean,
  silent: (reason: Error) => void,
  traffic: () => Traffic,
  { askAfterMs, silenceMs }: Patience = PATIENCE,
): Op<T> {
  let askAt: Deadline = after(askAfterMs);
  let question: Question | undefined;
  try {
    let step = op.next();
    while (!step.done) {
      const wait = step.value;
      let ready = wait.ready();
      try {
        while (!ready) {
          if (monotonic() >= wait.deadline) {
            // Whoever turns the reactor looks once more before the answer is no.
            ready = yield wait;
            break;
          }
          const current = question;
          const turn: Deadline = current === undefined ? askAt : current.expires;
          yield {
            ready: () => wait.ready() || current?.answered === true,
            deadline: Math.min(wait.deadline, turn),
          };
          ready = wait.ready();
          if (ready) break;
          const due = monotonic() >= turn;
          if (current?.answered || (due && !awake())) {
            current?.end();
            question = undefined;
            askAt = after(askAfterMs);
          } else if (due && current === undefined) question = new Question(guest, silenceMs, traffic);
          else if (due && !current?.comesNearer()) {
            silent(new ProviumError(`the agent has not answered for ${silenceMs / 1000} s: the guest hangs`));
            question = undefined;
            askAt = NEVER;
          }
        }
      } catch (error) {
        step = op.throw(error);
        continue;
      }
      step = op.next(ready);
    }
    return step.value;
  } finally {
    question?.end();
  }
}

/** One test while its body runs: what it logged and what has settled its outcome already. */

import { ApiError, ProviumError } from "../errors/errors.ts";
import type { Comparison, Meta } from "../events/types.ts";
import type { LuaState } from "../lua/state.ts";
import type { LuaTable } from "../lua/table.ts";
import { monotonic } from "../sys/op.ts";
import { AssertionError } from "./assertion-error.ts";
import { type Failure, failureAt } from "./failure.ts";

/** Ends a body that has asked to be skipped. */
export class SkipSignal extends ProviumError {}

/** What one test may log; it travels in one event. */
const LONGEST_LOG = 1024 * 1024;
/** An attachment travels in one event too. */
const LARGEST_ATTACHMENT = 16 * 1024 * 1024;
const LARGEST_TOGETHER = 64 * 1024 * 1024;

export class RunningTest {
  readonly log: string[] = [];
  readonly since = monotonic();
  /** The first failed `t:` assertion: the test has failed even when the error was caught. */
  sticky: Failure | undefined;
  /** Why the body asked to be skipped. */
  skipped: string | undefined;
  /** The order that ends the body then. */
  private order: SkipSignal | undefined;
  private logged = 0;
  private attached = 0;

  constructor(
    readonly name: string,
    readonly meta: Meta,
    readonly metaTable: LuaTable | undefined,
  ) {}

  get durationNs(): number {
    return Math.round((monotonic() - this.since) * 1e6);
  }

  say(line: string): void {
    if (this.logged > LONGEST_LOG) return;
    this.logged += line.length;
    this.log.push(this.logged > LONGEST_LOG ? "(the log is full: 1 MiB)" : line);
  }

  /** Counts what is attached. Raises when it is too much for one event or one test. */
  keep(name: string, bytes: number): void {
    if (bytes > LARGEST_ATTACHMENT)
      throw new ApiError(
        `t:attach: \`${name}\` has ${bytes} bytes; at most ${LARGEST_ATTACHMENT} can be kept`,
        {
          hint: "attach the part that tells the story, or leave the file in a directory of the host",
        },
      );
    if (this.attached + bytes > LARGEST_TOGETHER)
      throw new ApiError(
        `t:attach: with \`${name}\` the test would keep more than ${LARGEST_TOGETHER} bytes`,
      );
    this.attached += bytes;
  }

  /** Fails the test for good and raises. */
  fail(state: LuaState, text: string, comparison?: () => Comparison): never {
    const frames = state.frames();
    const at = frames.find(({ native, line }) => !native && line !== undefined);
    const error = new AssertionError(text, comparison);
    this.sticky ??= failureAt(
      state,
      at === undefined ? text : `${at.file}:${at.line}: ${text}`,
      frames,
      error,
    );
    throw error;
  }

  skip(reason: string): never {
    this.skipped ??= reason;
    this.order = new SkipSignal(`test skipped: ${reason}`);
    throw this.order;
  }

  /** Whether this is what ended the body: the order to skip, also where Lua code has put words around it, as coroutine.wrap does. */
  wasSkippedBy(error: unknown): boolean {
    const { order } = this;
    if (order === undefined || !(error instanceof Error)) return false;
    return error === order || error.cause === order || error.message.includes(order.message);
  }
}

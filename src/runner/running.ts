/** One test while its body runs: what it logged and what has settled its outcome already. */

import { ProviumError } from "../errors/errors.ts";
import type { Meta } from "../events/types.ts";
import type { LuaState } from "../lua/state.ts";
import type { LuaTable } from "../lua/table.ts";
import { monotonic } from "../sys/op.ts";
import { type Failure, failureAt } from "./failure.ts";

/** A failed assertion: an expected end of a test, whose text is the whole story. */
export class AssertionError extends ProviumError {}

/** Ends a body that has asked to be skipped. */
export class SkipSignal extends ProviumError {}

/** What one test may log; it travels in one event. */
const LONGEST_LOG = 1024 * 1024;

export class RunningTest {
  readonly log: string[] = [];
  readonly since = monotonic();
  /** The first failed `t:` assertion: the test has failed even when the error was caught. */
  sticky: Failure | undefined;
  /** Why the body asked to be skipped. */
  skipped: string | undefined;
  private logged = 0;

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

  /** Fails the test for good and raises. */
  fail(state: LuaState, text: string): never {
    const frames = state.frames();
    const at = frames.find(({ native, line }) => !native && line !== undefined);
    this.sticky ??= failureAt(state, at === undefined ? text : `${at.file}:${at.line}: ${text}`, frames);
    throw new AssertionError(text);
  }

  skip(reason: string): never {
    this.skipped ??= reason;
    throw new SkipSignal(`test skipped: ${reason}`);
  }
}

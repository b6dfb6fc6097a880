/** `wait_until`: asks a predicate until its answer is true or the time is over. */

import { TimeoutError } from "../errors/errors.ts";
import type { Args } from "../lua/args.ts";
import type { LuaFunction } from "../lua/function.ts";
import { type LuaValue, truthy } from "../lua/values.ts";
import { after, monotonic, type Op, sleep } from "../sys/op.ts";
import { optDurationMs } from "./arguments.ts";

export interface WaitRequest {
  readonly predicate: LuaFunction;
  readonly timeoutMs: number;
  readonly intervalMs: number;
  readonly desc: string;
}

/** Reads `(fn, {timeout, interval, desc})`; the APIs differ in the default interval only. */
export const parseWait = (args: Args, intervalMs: number): WaitRequest => {
  const predicate = args.func(1, "predicate");
  const opts = args.optTable(2, "wait_until: opts");
  opts?.only(["timeout", "interval", "desc"]);
  return {
    predicate,
    timeoutMs: optDurationMs(opts?.get("timeout"), "wait_until: opts.timeout") ?? 10_000,
    intervalMs: optDurationMs(opts?.get("interval"), "wait_until: opts.interval") ?? intervalMs,
    desc: opts?.optText("desc") ?? "condition",
  };
};

/** The first true answer. The predicate is asked at least once, and once more at the end of the time. */
export function* waitUntil({ predicate, timeoutMs, intervalMs, desc }: WaitRequest): Op<LuaValue> {
  const deadline = after(timeoutMs);
  for (;;) {
    const [answer] = yield* predicate.run();
    if (truthy(answer)) return answer;
    const left = deadline - monotonic();
    if (left <= 0) throw new TimeoutError(`wait_until: ${desc} not met within ${timeoutMs / 1000}s`);
    yield* sleep(Math.min(intervalMs, left));
  }
}

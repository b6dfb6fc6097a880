/** What tests see of tasks: `parallel`, `go`, and the Task userdata. */

import { TimeoutError } from "../errors/errors.ts";
import type { Args } from "../lua/args.ts";
import { defineClass, method } from "../lua/native.ts";
import type { LuaState } from "../lua/state.ts";
import type { Task } from "../lua/tasks.ts";
import { type LuaValue, type Results, results } from "../lua/values.ts";
import { after, NEVER, type Op, until } from "../sys/op.ts";
import { optDurationMs } from "./arguments.ts";

/** A function that `go` has started. */
export class TaskHandle {
  constructor(
    readonly state: LuaState,
    readonly task: Task<LuaValue[]>,
  ) {}
}

/** `parallel(f1, f2, …)`: the first result of each, in order. The first error cancels the others and is raised. */
export function* parallel(state: LuaState, args: Args): Op<Results> {
  const functions = Array.from({ length: args.length }, (_, i) => args.func(i + 1));
  const outcomes = yield* state.tasks.all(functions.map((each) => each.run()));
  return results(...outcomes.map(([first]) => first));
}

/** `go(f, …)`: starts `f(…)` and returns its Task. */
export const go = (state: LuaState, args: Args): TaskHandle =>
  new TaskHandle(state, state.tasks.start(args.func(1, "f").run(...args.rest(2))));

defineClass<TaskHandle>({
  name: "task",
  of: TaskHandle,
  doc: "A function that runs beside the test.",
  methods: {
    wait: method(
      "(timeout?: duration): any...",
      "Waits until the function has returned and gives its results; raises its error, or that the task was cancelled. Raises when the time is over first; the task goes on then.",
      function* ({ task }, args) {
        const ms = optDurationMs(args.any(1), "task:wait: timeout");
        task.observed = true;
        if (!(yield* until(() => task.done, ms === undefined ? NEVER : after(ms))))
          throw new TimeoutError(`the task has not ended within ${(ms as number) / 1000} s`);
        return results(...task.take());
      },
    ),
    done: method(
      "(): boolean",
      "Whether the function has returned, failed or been cancelled.",
      ({ task }) => task.done,
    ),
    cancel: method(
      "()",
      "Interrupts the call that the task is in and ends it. Does nothing when it has ended.",
      ({ task }) => {
        task.cancel();
      },
    ),
  },
  text: ({ task }) => `task (${task.state})`,
});

/**
 * `vm:batch`: several operations in one round trip. The function queues them, then all requests go out together;
 * each answer is `{ok = value}` or `{err = message}`, and a failure does not stop the ones behind it.
 *
 * The guest serves requests of one task in order. What takes more than one request (a command, a long file) must
 * therefore be over before anything behind it goes out, or it would be overtaken.
 */

import { ApiError, InterruptedError, VmDeadError } from "../errors/errors.ts";
import { renderError } from "../errors/render.ts";
import type { Actor } from "../lab/ports.ts";
import type { LuaFunction } from "../lua/function.ts";
import { defineClass, method } from "../lua/native.ts";
import { Results } from "../lua/values.ts";
import { all, type Op } from "../sys/op.ts";
import { parseRun } from "./command.ts";
import { type GuestHandle, guestPath } from "./handles.ts";
import { KERNEL_FORMS } from "./kernel-methods.ts";
import { RunResult } from "./result.ts";
import { listing, mkdirRequest, statRequest, statTable, writeRequest } from "./vm-file.ts";

/** The longest content that is surely one request. */
const ONE_REQUEST_BYTES = 256 * 1024;
/** Requests of a group: fewer than the agent queues for one task, so that other calls find room. */
const LARGEST_GROUP = 48;

interface Step {
  readonly op: (actor: Actor) => Op<unknown>;
  /** Takes several requests: nothing may follow before it is over. */
  readonly alone: boolean;
  /** Changes what a long read before it may still be reading. */
  readonly changes: boolean;
  /** May turn out to take several requests. */
  readonly reads: boolean;
}

export class Batch {
  private readonly steps: Step[] = [];
  private over = false;

  constructor(readonly vm: GuestHandle) {}

  add(op: Step["op"], kind: "alone" | "changes" | "reads" | "short"): void {
    if (this.over) throw new ApiError("batch: the batch is over; queue operations inside the function only");
    this.steps.push({ op, alone: kind === "alone", changes: kind === "changes", reads: kind === "reads" });
  }

  /** Steps that may go out together, in order. */
  private groups(): Step[][] {
    const groups: Step[][] = [];
    let current: Step[] = [];
    for (const step of this.steps) {
      const breaks =
        step.alone ||
        current.length === LARGEST_GROUP ||
        (step.changes && current.some((earlier) => earlier.reads));
      if (breaks && current.length > 0) {
        groups.push(current);
        current = [];
      }
      current.push(step);
      if (step.alone) {
        groups.push(current);
        current = [];
      }
    }
    return current.length > 0 ? [...groups, current] : groups;
  }

  *run(fill: LuaFunction): Op<unknown[]> {
    yield* fill.run(this);
    this.over = true;
    const groups = this.groups();
    return yield* this.vm.call("batch", function* (actor) {
      const answers: unknown[] = [];
      for (const group of groups) answers.push(...(yield* all(group.map((step) => outcome(step.op(actor))))));
      return answers;
    });
  }
}

/** The answer to one operation. Only what ends the whole batch is thrown. */
function* outcome(op: Op<unknown>): Op<Record<string, unknown>> {
  try {
    return { ok: yield* op };
  } catch (error) {
    if (error instanceof InterruptedError || error instanceof VmDeadError) throw error;
    return { err: renderError(error) };
  }
}

const batchMethod = method<Batch>;

/** The signature of a call without its result. */
const queued = (signature: string): string => signature.slice(0, signature.indexOf("): ") + 1);

defineClass<Batch>({
  name: "Batch",
  of: Batch,
  doc: "What the function given to `vm:batch` receives. Its methods queue operations and return nothing.",
  methods: {
    run: batchMethod("(cmd, args_or_opts?)", "As vm:run.", (self, args) => {
      const { command, label } = parseRun(args, "run");
      self.add(function* (actor) {
        return new RunResult(yield* actor.run(command), label);
      }, "alone");
    }),
    read_file: batchMethod("(path: string)", "As vm:read_file.", (self, args) => {
      const path = guestPath(args.bytes(1, "path"), "read_file");
      self.add((actor) => actor.readFile(path), "reads");
    }),
    write_file: batchMethod("(path: string, data: string, opts?)", "As vm:write_file.", (self, args) => {
      const { path, data, perm } = writeRequest(args);
      self.add(
        (actor) => actor.writeFile(path, data, perm),
        data.byteLength > ONE_REQUEST_BYTES ? "alone" : "changes",
      );
    }),
    stat: batchMethod("(path: string, opts?)", "As vm:stat.", (self, args) => {
      const { path, follow } = statRequest(args);
      self.add(function* (actor) {
        return statTable(yield* actor.stat(path, follow));
      }, "short");
    }),
    listdir: batchMethod("(path: string)", "As vm:listdir.", (self, args) => {
      const path = guestPath(args.bytes(1, "path"), "listdir");
      self.add(function* (actor) {
        return listing(yield* actor.list(path));
      }, "reads");
    }),
    mkdir: batchMethod("(path: string, opts?)", "As vm:mkdir.", (self, args) => {
      const { path, parents, perm } = mkdirRequest(args);
      self.add((actor) => actor.mkdir(path, parents, perm), "changes");
    }),
    unlink: batchMethod("(path: string)", "As vm:unlink.", (self, args) => {
      const path = guestPath(args.bytes(1, "path"), "unlink");
      self.add((actor) => actor.unlink(path), "changes");
    }),
    rename: batchMethod("(from: string, to: string)", "As vm:rename.", (self, args) => {
      const from = guestPath(args.bytes(1, "from"), "rename");
      const to = guestPath(args.bytes(2, "to"), "rename");
      self.add((actor) => actor.rename(from, to), "changes");
    }),
    ...Object.fromEntries(
      Object.entries(KERNEL_FORMS).map(([name, { signature, several, read }]) => [
        name,
        batchMethod(
          queued(signature),
          `As vm:${name}${several ? "; several results come as a list" : ""}.`,
          (self, args) => {
            const { op, bytes } = read(args, self.vm.flavour);
            self.add(
              function* (actor) {
                const answer = yield* op(actor);
                return answer instanceof Results ? answer.values : answer;
              },
              bytes > ONE_REQUEST_BYTES ? "alone" : "changes",
            );
          },
        ),
      ]),
    ),
  },
});

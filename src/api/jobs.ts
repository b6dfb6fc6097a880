/** Background jobs of the classic API. */

import { ApiError } from "../errors/errors.ts";
import type { CommandResult, GuestProcess } from "../lab/ports.ts";
import { described } from "../lab/quantities.ts";
import type { Registry, Resource } from "../lab/registry.ts";
import type { Vm } from "../lab/vm.ts";
import type { Args } from "../lua/args.ts";
import { LuaTable } from "../lua/table.ts";
import { after, NEVER, type Op } from "../sys/op.ts";
import { durationMs, unwrapped } from "./arguments.ts";
import { shellCommand } from "./command.ts";
import { type GuestHandle, type GuestMethods, guestMethod } from "./handles.ts";
import { RunResult } from "./result.ts";
import { SIGKILL } from "./signals.ts";

class Job implements Resource {
  readonly kind = "process";
  private readonly life: number;
  private result: RunResult | undefined;

  constructor(
    readonly id: number,
    readonly process: GuestProcess,
    private readonly command: string,
    private readonly vm: Vm,
    private readonly registry: Registry,
  ) {
    this.life = vm.life;
  }

  get label(): string {
    return `background job ${this.id} (${this.command}) of vm \`${this.vm.name}\``;
  }

  get running(): boolean {
    return this.result === undefined && !this.lost && this.process.exit === undefined;
  }

  /** It is no part of the VM's present: a boot, a reset or a restore came between. */
  get lost(): boolean {
    return this.result === undefined && !this.vm.lives(this.life);
  }

  get whyLost(): string {
    return this.vm.whyLost(this.life);
  }

  /** The finished result, or undefined when the deadline passes first. */
  *wait(deadline: number): Op<RunResult | undefined> {
    if (this.result !== undefined) return this.result;
    const result = yield* this.process.wait(deadline);
    if (result === undefined) return undefined;
    return yield* this.finish(result);
  }

  /** Ends it with SIGKILL. A second call, or one after its end, gives the same result again. */
  *kill(): Op<RunResult> {
    if (this.result !== undefined) return this.result;
    if (this.process.exit === undefined) yield* this.process.signal(SIGKILL, true);
    const result = (yield* this.process.wait(NEVER)) as CommandResult;
    return yield* this.finish(result);
  }

  /** At the end of its scope. A job dies with its VM. */
  *close(): Op<void> {
    if (this.result === undefined && !this.lost) yield* this.vm.bring(() => this.process.close(0));
  }

  private *finish(result: CommandResult): Op<RunResult> {
    this.registry.remove(this);
    this.result = new RunResult(result, this.command);
    yield* this.process.close(0);
    return this.result;
  }
}

/** Jobs by VM and id. An id is never used twice, also over a reboot. */
const jobs = new WeakMap<Vm, Map<number, Job>>();

const jobsOf = (vm: Vm): Map<number, Job> => {
  let own = jobs.get(vm);
  if (own === undefined) {
    own = new Map();
    jobs.set(vm, own);
  }
  return own;
};

/** Whether a background job of this VM still runs. */
export const hasRunningJobs = (vm: Vm): boolean => [...jobsOf(vm).values()].some((job) => job.running);

function* start(self: GuestHandle, args: Args): Op<Record<string, unknown>> {
  const { command, label } = shellCommand(args.bytes(1, "cmd"), "background");
  const { registry } = self.api.scopes.scopeOf(self.lifetime);
  const process = yield* self.call("background", (actor) => actor.start(command));
  const own = jobsOf(self.vm);
  const job = registry.add(new Job(own.size + 1, process, label, self.vm, registry));
  own.set(job.id, job);
  return { id: job.id, pid: process.pid };
}

/** The job that an argument names: the table of `background`, or its id. */
const jobArgument = (self: GuestHandle, args: Args): Job => {
  const given = args.any(1);
  const id = unwrapped(given instanceof LuaTable ? given.get("id") : given);
  const job = typeof id === "number" ? jobsOf(self.vm).get(id) : undefined;
  if (job?.lost) throw new ApiError(`${args.callee}: ${job.label} ${job.whyLost}`);
  if (job !== undefined) return job;
  throw new ApiError(
    `${args.callee}: job must be what vm:background returned on vm \`${self.vm.name}\`, got ${given instanceof LuaTable ? `a table with id ${described(id)}` : described(id)}`,
  );
};

const report = (job: Job, run: RunResult | undefined): Record<string, unknown> =>
  run === undefined
    ? { running: true, stdout: job.process.collected(1), stderr: job.process.collected(2) }
    : { running: false, exit_code: run.exitCode, stdout: run.result.stdout, stderr: run.result.stderr };

export const JOB_METHODS: GuestMethods = {
  background: guestMethod(
    "(cmd: string): {id: integer, pid: integer}",
    "Starts a shell command and goes on. What still runs at the end of the scope is killed.",
    function* (self, args) {
      return yield* start(self, args);
    },
  ),
  job_wait: guestMethod(
    "(job: table|integer, timeout?: duration): {running: boolean, exit_code?: integer, stdout: string, stderr: string}",
    "Waits for a background job: without a timeout until it ends, with 0 not at all. A job that still runs has `running` true, no exit code, and the output so far; it is not killed.",
    function* (self, args) {
      const job = jobArgument(self, args);
      const timeout = args.any(2);
      const deadline =
        timeout === undefined ? NEVER : after(Math.max(1, durationMs(timeout, "job_wait: timeout")));
      return report(job, yield* self.call("job_wait", () => job.wait(deadline)));
    },
  ),
  job_kill: guestMethod(
    "(job: table|integer): table",
    "Ends a background job with SIGKILL, with everything that it started, and returns its result.",
    function* (self, args) {
      const job = jobArgument(self, args);
      return report(job, yield* self.call("job_kill", () => job.kill()));
    },
  ),
};

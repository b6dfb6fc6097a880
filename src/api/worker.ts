/**
 * Workers: further tasks of a guest, each with credentials and a working directory of its own. A fork has its own
 * memory and descriptors too; a thread shares them with the task that made it.
 */

import { ApiError } from "../errors/errors.ts";
import type { Actor, WorkerActor } from "../lab/ports.ts";
import type { Flavour } from "../lab/quantities.ts";
import type { Registry } from "../lab/registry.ts";
import type { Args } from "../lua/args.ts";
import { method } from "../lua/native.ts";
import { all, NEVER, type Op } from "../sys/op.ts";
import { GuestHandle, type VmHandle, type VmMethods, vmMethod } from "./handles.ts";
import { Held, heldOf, registryOf } from "./held.ts";
import { Process } from "./process.ts";
import { SIGTERM, signalArgument } from "./signals.ts";

export class Worker extends Held {
  private readonly handles = new Map<Flavour, WorkerHandle>();

  constructor(
    readonly parent: VmHandle,
    registry: Registry,
    readonly actor: WorkerActor,
  ) {
    super(parent, "worker", registry);
  }

  get label(): string {
    return `worker ${this.actor.id} of ${this.parent.label}`;
  }

  get alive(): boolean {
    return !this.closed && !this.lost && this.actor.gone === undefined;
  }

  /** The one handle of this worker and flavour. */
  as(flavour: Flavour): WorkerHandle {
    const known = this.handles.get(flavour);
    if (known !== undefined) return known;
    const handle = new WorkerHandle(this, flavour);
    this.handles.set(flavour, handle);
    return handle;
  }

  /** What it has opened and started and what is still open, of one class. */
  held(kind: "stream" | "process" | "file"): readonly Held[] {
    return heldOf(this.parent.vm, kind).filter(
      ({ guest }) => guest instanceof WorkerHandle && guest.worker === this,
    );
  }

  processes(): readonly Process[] {
    return this.held("process").filter((held): held is Process => held instanceof Process);
  }

  protected *release(): Op<void> {
    yield* this.actor.end();
  }
}

export class WorkerHandle extends GuestHandle {
  constructor(
    readonly worker: Worker,
    flavour: Flavour,
  ) {
    super(worker.parent.api, worker.parent.vm, flavour);
  }

  get label(): string {
    return this.worker.label;
  }

  get alive(): boolean {
    return this.worker.alive;
  }

  get lifetime(): Flavour {
    return this.worker.parent.flavour;
  }

  get files(): object {
    return this.worker.actor.thread ? this.worker.parent.files : this.worker;
  }

  get closer(): GuestHandle | undefined {
    if (this.alive) return this;
    return this.worker.actor.thread ? this.worker.parent : undefined;
  }

  protected actor(operation: string, _main: Actor): Actor {
    const { worker } = this;
    worker.checkLife(operation);
    if (worker.closed) throw new ApiError(`${worker.label} has ended; ${operation} needs one that runs`);
    return worker.actor;
  }
}

function* spawn(self: VmHandle, args: Args): Op<WorkerHandle> {
  const opts = args.optTable(1, `${args.callee}: opts`);
  opts?.only(["thread"]);
  const thread = opts?.optBoolean("thread") ?? false;
  const registry = registryOf(self);
  const flavour = args.callee.endsWith("spawn") ? "classic" : "lab";
  const actor = yield* self.call(args.callee, (main) => main.spawnWorker({ thread }));
  return new Worker(self, registry, actor).as(flavour);
}

export const SPAWN_METHODS: VmMethods = {
  spawn: vmMethod(
    "(opts?: {thread?: boolean}): Worker",
    "A further task of the guest, as a worker of the classic flavour: a fork of the agent's task, or with `thread` a thread of it, which shares its memory and descriptors and has credentials of its own.",
    spawn,
  ),
  spawn_worker: vmMethod(
    "(opts?: {thread?: boolean}): Worker",
    "As spawn, a worker of the lab flavour.",
    spawn,
  ),
};

/** Waits for every process that `run_async` has started on the worker. */
function* join(self: WorkerHandle): Op<Record<string, unknown>> {
  const processes = self.worker.processes();
  const ended = yield* all(
    processes.map(function* (process) {
      const result = yield* process.wait(NEVER);
      return {
        handle: process.process.handle,
        pid: process.process.pid,
        exit_code: result?.exitCode,
        signal: result?.signal,
      };
    }),
  );
  return { exited: ended.length, processes: ended };
}

function* close(self: WorkerHandle): Op<void> {
  const { worker } = self;
  for (const kind of ["stream", "process", "file"] as const)
    yield* all(worker.held(kind).map((held) => held.close()));
  yield* worker.close();
}

function* kill(self: WorkerHandle, args: Args): Op<void> {
  if (self.flavour === "classic" && args.absent(1)) {
    yield* self.worker.close();
    return;
  }
  const signal = args.absent(1) ? SIGTERM : signalArgument(args.any(1), "kill: signal");
  yield* all(self.worker.processes().map((process) => process.signal(signal, true)));
}

const workerMethod = method<WorkerHandle>;

/** What a worker has beside the methods that act in the guest. */
export const WORKER_METHODS = {
  kill: workerMethod(
    "(signal?: string|integer)",
    "Classic flavour without an argument: ends the worker at once. Otherwise sends a signal, SIGTERM by default, to every process that `run_async` has started on it.",
    kill,
  ),
  join: workerMethod(
    "(): {exited: integer, processes: {handle, pid, exit_code, signal}[]}",
    "Waits for the end of every process that `run_async` has started on it and that is still open.",
    function* (self) {
      return yield* join(self);
    },
  ),
  close: workerMethod(
    "()",
    "Ends its streams, processes (SIGTERM, SIGKILL 2 s later) and files, then the worker. Repeatable.",
    function* (self) {
      yield* close(self);
    },
  ),
  handle: workerMethod("(): integer", "Its number in messages, 2 and up.", (self) => self.worker.actor.id),
  pid: workerMethod("(): integer", "Its process id in the guest.", (self) => self.worker.actor.pid),
  tid: workerMethod(
    "(): integer",
    "Its thread id; that of a fork is its pid.",
    (self) => self.worker.actor.tid,
  ),
  alive: workerMethod("(): boolean", "Whether it can be called.", (self) => self.alive),
  as: workerMethod(
    '(flavour: "classic"|"lab"): Worker',
    "The same worker seen through the other API; the two are equal.",
    (self, args) => self.worker.as(args.oneOf(1, ["classic", "lab"], "flavour")),
  ),
} as const;

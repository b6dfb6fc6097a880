/**
 * Hands test files to runners until none is left, and sees to it that every file comes to an end: by itself, at its
 * deadline, by the death of its runner, or because the run is stopped.
 */

import { formatDuration, formatSize } from "../config/units.ts";
import { HostError } from "../errors/errors.ts";
import type { EventStream } from "../events/stream.ts";
import type { FileStatus, ResourceAmount } from "../events/types.ts";
import type { FixtureReference } from "../fixture/scan.ts";
import type { Job, Request } from "../runner/protocol.ts";
import type { TestFile } from "./discover.ts";
import { FileRun } from "./file-run.ts";
import type { FixturePlan, Fixtures } from "./fixtures.ts";
import { openRequests } from "./open-requests.ts";
import { FILE_OVERHEAD, Pool } from "./pool.ts";
import { type BootArtefactsFor, type RequestContext, serveRequest } from "./requests.ts";
import type { Runner, StartRunner } from "./runner-process.ts";

/** How long a runner may take to end its file after it was asked to. */
const STOP_GRACE_MS = 2000;

/** How often the memory of busy runners is looked at. */
const MEMORY_CHECK_MS = 250;
/** A runner is there in a twentieth of a second; on a host that swaps it may take longer. */
const START_MS = 30_000;
/** How long no file may end, while one runs, before another runner is started. */
const PATIENCE_MS = 100;

/** Runners that end before they ever took a file: more than this in a row and the run is given up. */
const START_FAILURES = 3;

export interface RunPlan {
  readonly files: readonly TestFile[];
  /** Files that run at the same time. */
  readonly jobs: number;
  readonly pool: ResourceAmount;
  /** Per file, 0 for none. */
  readonly timeoutMs: number;
  readonly failFast: boolean;
  /** Bytes that a runner may occupy before it is ended: the backstop behind the limit of its Lua state. */
  readonly runnerMemory: number;
  /** Machines of the local VMM boot no kernel and draw nothing from the pool. */
  readonly draws: boolean;
  /** Absent where machines cannot be snapshotted. */
  readonly fixtures?: FixturePlan | undefined;
  /** The fixtures that a file names, to be built ahead. */
  readonly fixturesOf?: ((file: TestFile) => readonly FixtureReference[]) | undefined;
  /** Everything about a file's job but its directory. */
  readonly job: (file: TestFile) => Omit<Job, "directory">;
}

export interface Surroundings {
  readonly stream: EventStream;
  readonly startRunner: StartRunner;
  /** The path of a private directory below the run's. The runner makes it when a machine needs it. */
  readonly directory: (name: string) => string;
  readonly boot: BootArtefactsFor;
}

export interface Outcome {
  readonly statuses: ReadonlyMap<string, FileStatus>;
  readonly interrupted: boolean;
  readonly notRun: number;
}

/** One runner process and what it is doing. */
interface Slot {
  runner: Runner;
  idle: boolean;
  running: FileRun | undefined;
  /** Has taken a file at least once. */
  used: boolean;
  /** Was told to go; takes no file any more. */
  retired: boolean;
  readonly gone: PromiseWithResolvers<void>;
  /** It has said that it is there, or will not any more. */
  greeted: () => void;
}

export class Dispatcher {
  private readonly slots = new Set<Slot>();
  private readonly queue: TestFile[];
  private readonly pool: Pool;
  private readonly fixtures: Fixtures | undefined;
  private readonly requests: RequestContext;
  private readonly statuses = new Map<string, FileStatus>();
  private readonly blocked = new Set<string>();
  private interruptions = 0;
  private halted = false;
  private startFailures = 0;
  /** Runs out when no file has ended for a while and another runner would help. */
  private patience: ReturnType<typeof setTimeout> | undefined;
  private serial = 0;
  private settled: PromiseWithResolvers<void> = Promise.withResolvers();

  constructor(
    private readonly plan: RunPlan,
    private readonly around: Surroundings,
  ) {
    this.queue = [...plan.files];
    this.pool = new Pool(plan.pool);
    this.requests = openRequests(plan.fixtures, this.pool, plan.draws, around);
    this.fixtures = this.requests.fixtures;
  }

  /** Runs every file. Throws `HostError` when no runner can be started. All runners have ended when it returns. */
  async run(): Promise<Outcome> {
    const ticker = setInterval(
      () => this.around.stream.emit("pool_state", { used: this.pool.used, available: this.pool.available }),
      1000,
    );
    ticker.unref();
    const guard = setInterval(() => this.checkMemory(), MEMORY_CHECK_MS);
    guard.unref();
    const unhook = this.around.stream.onCongestion((congested) => {
      for (const slot of this.slots) slot.runner.listen(!congested);
    });
    try {
      this.buildAhead();
      this.advance();
      await this.settled.promise;
    } finally {
      clearInterval(ticker);
      clearInterval(guard);
      unhook();
      this.beContent();
      await this.endRunners();
      await this.fixtures?.close();
    }
    return { statuses: this.statuses, interrupted: this.interruptions > 0, notRun: this.queue.length };
  }

  /** First call: no new files, the running ones are asked to end. Second call: everything ends now. */
  interrupt(reason: string): void {
    this.interruptions++;
    this.halted = true;
    this.fixtures?.stop(reason);
    for (const slot of this.slots) {
      if (slot.running === undefined || this.interruptions > 1) slot.runner.kill();
      else this.stop(slot, reason, "failed");
    }
    this.advance();
  }

  private buildAhead(): void {
    const wanted = this.plan.files.flatMap((asker) =>
      (this.plan.fixturesOf?.(asker) ?? []).map((reference) => ({ reference, asker })),
    );
    this.fixtures?.ahead(wanted);
  }

  // --- runners ---------------------------------------------------------------------------------------------

  /** Starts runners and files as far as there is room, and notices the end. */
  private advance(): void {
    if (!this.halted) {
      for (const slot of this.slots) if (slot.idle && !this.dispatchTo(slot)) break;
      this.startRunners();
    }
    if (this.busy() === 0 && (this.halted || this.queue.length === 0)) this.settled.resolve();
  }

  /**
   * One runner at once, a further one whenever no file has ended for a moment. Files that take milliseconds are
   * through sooner in one warm process than in several that all have to warm up.
   */
  private startRunners(): void {
    const wanted = (): boolean =>
      !this.halted && this.live() < Math.min(this.plan.jobs, this.busy() + this.queue.length);
    if (this.live() === 0 && wanted()) this.startSlot();
    if (this.patience !== undefined || this.busy() === 0 || !wanted()) return;
    this.patience = setTimeout(() => {
      this.patience = undefined;
      if (wanted()) this.startSlot();
      this.advance();
    }, PATIENCE_MS);
  }

  /** A file has ended: the runners that there are come along. */
  private beContent(): void {
    clearTimeout(this.patience);
    this.patience = undefined;
  }

  private busy(): number {
    let count = 0;
    for (const slot of this.slots) if (slot.running !== undefined) count++;
    return count;
  }

  private live(): number {
    let count = 0;
    for (const slot of this.slots) if (!slot.retired) count++;
    return count;
  }

  private retire(slot: Slot): void {
    slot.retired = true;
    slot.idle = false;
    slot.runner.kill();
  }

  private startSlot(): void {
    const slot: Slot = {
      runner: undefined as never,
      idle: false,
      running: undefined,
      used: false,
      retired: false,
      gone: Promise.withResolvers(),
      greeted: () => {},
    };
    slot.runner = this.around.startRunner({
      message: (message) => {
        if (message.type === "idle") {
          slot.greeted();
          slot.idle = slot.running === undefined && !slot.retired;
          this.startFailures = 0;
          this.advance();
        } else if (slot.running !== undefined) {
          if (message.type === "event") slot.running.admit(message.event);
          else if (message.type === "request") this.serve(slot, slot.running, message.id, message.request);
          else this.finished(slot, slot.running, message);
        }
      },
      gone: (how, overdue) => this.lost(slot, how, overdue),
    });
    if (this.around.stream.congested) slot.runner.listen(false);
    this.slots.add(slot);
    const overdue = setTimeout(() => slot.runner.kill(), START_MS);
    slot.greeted = () => clearTimeout(overdue);
  }

  private lost(slot: Slot, how: string, overdue: boolean): void {
    this.slots.delete(slot);
    slot.greeted();
    slot.gone.resolve();
    if (slot.running !== undefined) {
      const { stopped } = slot.running;
      const said = slot.runner.complaints.trim();
      const reason = stopped?.reason ?? `the runner ${how}${said === "" ? "" : `; it said:\n${said}`}`;
      this.complete(slot.running, stopped?.status ?? (overdue ? "timed_out" : "crashed"), reason);
      slot.running = undefined;
    } else if (!slot.used && !this.halted && ++this.startFailures >= START_FAILURES) {
      this.halted = true;
      const said = slot.runner.complaints.trim();
      this.settled.reject(
        new HostError(`no runner can be started: the last one ${how}${said === "" ? "" : `\n${said}`}`),
      );
    }
    this.advance();
  }

  private async endRunners(): Promise<void> {
    this.halted = true;
    for (const slot of this.slots) this.retire(slot);
    await Promise.all([...this.slots].map((slot) => slot.gone.promise));
  }

  // --- files -----------------------------------------------------------------------------------------------

  /** Gives the next file to an idle runner. False: there is none, or no room for it now. */
  private dispatchTo(slot: Slot): boolean {
    const file = this.queue[0];
    if (file === undefined) return false;
    if (!this.pool.enter(file.path)) {
      if (!this.blocked.has(file.path)) {
        this.blocked.add(file.path);
        this.around.stream.emit("file_blocked", {
          path: file.path,
          waiting_for: FILE_OVERHEAD,
          reason: "pool_full",
        });
      }
      return false;
    }
    this.queue.shift();
    const directory = this.around.directory(`file-${++this.serial}`);
    const running = new FileRun(file, { ...this.plan.job(file), directory }, this.around.stream);
    slot.idle = false;
    slot.used = true;
    slot.running = running;
    this.around.stream.emit("file_dispatched", { path: file.path, reservation: FILE_OVERHEAD });
    if (this.plan.timeoutMs > 0) {
      const reason = `the file's deadline of ${formatDuration(this.plan.timeoutMs)} has passed`;
      running.after(this.plan.timeoutMs, () => this.stop(slot, reason, "timed_out"));
    }
    slot.runner.send({ type: "run", job: running.job });
    return true;
  }

  /** Asks a runner to end its file and kills it when it does not. */
  private stop(slot: Slot, reason: string, status: FileStatus): void {
    const { running } = slot;
    if (running === undefined || running.stopped !== undefined) return;
    running.stopped = { reason, status };
    slot.runner.send({ type: "stop", reason });
    running.after(STOP_GRACE_MS, () => slot.runner.kill());
  }

  /** A test that allocates without end takes its own file down, not the host. */
  private checkMemory(): void {
    for (const slot of this.slots) {
      const bytes = slot.running === undefined ? 0 : slot.runner.memory();
      if (slot.running === undefined || bytes <= this.plan.runnerMemory) continue;
      const reason = `the file has filled ${formatSize(bytes)} of memory on the host; ${formatSize(this.plan.runnerMemory)} are allowed`;
      slot.running.stopped = { reason, status: "crashed" };
      slot.runner.kill();
    }
  }

  private finished(
    slot: Slot,
    running: FileRun,
    end: { readonly status: FileStatus; readonly clean: boolean; readonly error?: string | undefined },
  ): void {
    slot.running = undefined;
    const status =
      end.status === "passed" || running.stopped === undefined ? end.status : running.stopped.status;
    this.complete(
      running,
      status,
      end.error ?? (status === "timed_out" ? running.stopped?.reason : undefined),
    );
    // The runner says `idle` when it is ready for the next one. A dirty one goes, and so does one that was stopped.
    if (!end.clean || running.stopped !== undefined) this.retire(slot);
    this.advance();
  }

  private complete(running: FileRun, status: FileStatus, error: string | undefined): void {
    const { path } = running.file;
    running.end(status, error);
    this.beContent();
    this.statuses.set(path, status);
    this.pool.leave(path);
    this.fixtures?.fileEnded(path);
    if (this.plan.failFast && status !== "passed") this.halted = true;
  }

  private serve(slot: Slot, running: FileRun, id: number, request: Request): void {
    serveRequest(id, request, running.job, this.requests, (message) => {
      // The file may have ended while its request was being worked on.
      const waiting = slot.running === running;
      if (waiting) slot.runner.send(message);
      return waiting;
    });
    // What a machine gave back may be room for the next file.
    if (request.what === "release") this.advance();
  }
}

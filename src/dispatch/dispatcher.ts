/**
 * Hands test files to runners until none is left, and sees to it that every file comes to an end: by itself, at its
 * deadline, by the death of its runner, or because the run is stopped. Who may start when is decided by the schedule.
 */

import { formatDuration, formatSize } from "../config/units.ts";
import type { EventStream } from "../events/stream.ts";
import type { FileStatus, ResourceAmount } from "../events/types.ts";
import type { FixtureReference } from "../fixture/scan.ts";
import type { Job, Request, Up } from "../runner/protocol.ts";
import type { Reply, Word } from "../runner/talk.ts";
import { NOTHING } from "./amount.ts";
import { Crew, type Worker } from "./crew.ts";
import { type Decision, Desk } from "./desk.ts";
import type { TestFile } from "./discover.ts";
import { FileRun } from "./file-run.ts";
import type { FixturePlan } from "./fixture-plan.ts";
import { type Listening, listening } from "./listening.ts";
import { openRequests } from "./open-requests.ts";
import { allowedFiles, type Pressure } from "./pressure.ts";
import { type BootArtefactsFor, type RequestContext, serveRequest } from "./requests.ts";
import type { StartRunner } from "./runner-process.ts";
import { type Action, Schedule } from "./schedule.ts";

/** How long a runner may take to end its file after it was asked to. */
const STOP_GRACE_MS = 2000;

/** How often the memory of busy runners is looked at. */
const MEMORY_CHECK_MS = 250;

/** How often a file may be overtaken by smaller ones for each file that may run at a time. */
const OVERTAKES_PER_JOB = 4;

export interface RunPlan {
  /** In the order in which they are to start. */
  readonly files: readonly TestFile[];
  /** Files that run at the same time. */
  readonly jobs: number;
  readonly pool: ResourceAmount;
  /** Per file, 0 for none. */
  readonly timeoutMs: number;
  /** How often a file that did not pass is run again. */
  readonly retries: number;
  readonly failFast: boolean;
  /** Directories of files stay. */
  readonly keep: boolean;
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
  /** How hard the host is pressed, and from where on that counts. Absent: nothing is held back. */
  readonly pressure?: { readonly read: () => Pressure | undefined; readonly limits: Pressure } | undefined;
  /** The person behind an errand. */
  readonly hear?: ((reply: Reply, answer: (word: Word) => void) => void) | undefined;
}

export interface Outcome {
  readonly statuses: ReadonlyMap<string, FileStatus>;
  /** Milliseconds that each file took. */
  readonly times: ReadonlyMap<string, number>;
  readonly interrupted: boolean;
  readonly notRun: number;
}

export class Dispatcher {
  private readonly crew: Crew;
  private readonly desk: Desk;
  private readonly requests: RequestContext;
  private readonly listening: Listening;
  private readonly files: ReadonlyMap<string, TestFile>;
  private readonly statuses = new Map<string, FileStatus>();
  private readonly attempts = new Map<string, number>();
  /** The attempts that began anew because their first runner never began them. */
  private readonly renewed = new Map<string, number>();
  private readonly times = new Map<string, number>();
  private readonly excesses = new Set<string>();
  private interruptions = 0;
  private halted = false;
  private serial = 0;
  private settled: PromiseWithResolvers<void> = Promise.withResolvers();

  constructor(
    private readonly plan: RunPlan,
    private readonly around: Surroundings,
  ) {
    this.files = new Map(plan.files.map((file) => [file.path, file]));
    this.desk = new Desk(new Schedule(plan.pool, plan.jobs * OVERTAKES_PER_JOB), (action) =>
      this.act(action),
    );
    this.listening = listening(around.startRunner, around.stream);
    const { start } = this.listening;
    this.requests = openRequests(plan.fixtures, this.desk, plan.draws, { ...around, startRunner: start });
    this.crew = new Crew(start, {
      ready: () => this.advance(),
      message: (worker, running, message) => this.receive(worker, running, message),
      lost: (running, how, overdue, said) => this.lost(running, how, overdue, said),
      hopeless: (error) => {
        if (this.halted) return;
        this.halt();
        this.settled.reject(error);
      },
    });
  }

  /** Runs every file. Throws `HostError` when no runner can be started. All runners have ended when it returns. */
  async run(): Promise<Outcome> {
    const ticker = setInterval(() => this.tick(), 1000);
    const guard = setInterval(() => this.checkMemory(), MEMORY_CHECK_MS);
    try {
      this.feelPressure();
      for (const file of this.plan.files) this.enqueue(file);
      this.buildAhead();
      this.advance();
      await this.settled.promise;
    } finally {
      clearInterval(ticker);
      clearInterval(guard);
      this.halt();
      await this.crew.end();
      await this.requests.fixtures?.close();
      this.listening.close();
    }
    return {
      statuses: this.statuses,
      times: this.times,
      interrupted: this.interruptions > 0,
      notRun: this.desk.schedule.waitingFiles,
    };
  }

  /** First call: no new files, the running ones are asked to end. Second call: everything ends now. */
  interrupt(reason: string): void {
    this.interruptions++;
    this.halt();
    this.requests.fixtures?.stop(reason);
    for (const worker of this.crew.workers) {
      if (worker.running === undefined || this.interruptions > 1) worker.runner.kill();
      else this.stop(worker, worker.running, reason, "failed");
    }
    this.advance();
  }

  /** No file is started any more. */
  private halt(): void {
    this.halted = true;
    this.desk.take({ event: "runners", idle: 0 });
  }

  private buildAhead(): void {
    const wanted = this.plan.files.flatMap((asker) =>
      (this.plan.fixturesOf?.(asker) ?? []).map((reference) => ({ reference, asker })),
    );
    this.requests.fixtures?.ahead(wanted);
  }

  // --- schedule --------------------------------------------------------------------------------------------

  private enqueue({ path, claim }: TestFile): void {
    this.desk.take({ event: "queued", path, claim: (this.plan.draws ? claim : undefined) ?? NOTHING });
  }

  private act(action: Exclude<Action, Decision>): void {
    const { stream } = this.around;
    switch (action.act) {
      case "dispatch":
        this.dispatch(action.path, action.reservation);
        return;
      case "blocked": {
        const { path, waitingFor, reason } = action;
        stream.emit("file_blocked", { path, waiting_for: waitingFor, reason });
        return;
      }
      case "overdrawn": {
        const { path, excess } = action;
        if (this.excesses.has(path)) return;
        this.excesses.add(path);
        const over = [
          ...(excess.memory_bytes > 0 ? [`${formatSize(excess.memory_bytes)} of memory`] : []),
          ...(excess.cpus > 0 ? [excess.cpus === 1 ? "1 CPU" : `${excess.cpus} CPUs`] : []),
        ].join(" and ");
        const text = `${path} goes ahead with ${over} more than the pool has: every running file waited`;
        stream.emit("notice", { level: "info", text });
      }
    }
  }

  /** Starts runners and files as far as there is room, and notices the end. */
  private advance(): void {
    if (!this.halted) {
      this.desk.take({ event: "runners", idle: Math.min(this.crew.idle, this.plan.jobs - this.crew.busy) });
      this.crew.grow(() =>
        this.halted ? 0 : Math.min(this.plan.jobs, this.crew.busy + this.desk.schedule.waitingFiles),
      );
    }
    if (this.crew.busy === 0 && (this.halted || this.desk.schedule.waitingFiles === 0))
      this.settled.resolve();
  }

  private tick(): void {
    const { used, available } = this.desk.schedule;
    this.around.stream.emit("pool_state", { used, available });
    this.feelPressure();
  }

  private feelPressure(): void {
    const { pressure } = this.around;
    if (pressure === undefined || this.halted) return;
    this.desk.take({ event: "pressure", allowed: allowedFiles(pressure.read(), pressure.limits) });
  }

  // --- runners ---------------------------------------------------------------------------------------------

  private receive(worker: Worker, running: FileRun, message: Exclude<Up, { type: "idle" }>): void {
    running.heard = true;
    if (message.type === "event") running.admit(message.event);
    else if (message.type === "request") this.serve(worker, running, message.id, message.request);
    else if (message.type === "reply")
      this.around.hear?.(message.reply, (word) => worker.runner.send({ type: "word", word }));
    else this.finished(worker, running, message);
  }

  private lost(running: FileRun | undefined, how: string, overdue: boolean, said: string): void {
    if (running !== undefined && !overdue && this.unbegun(running)) this.renew(running, how);
    else if (running !== undefined) {
      const { stopped } = running;
      const reason = stopped?.reason ?? `the runner ${how}${said === "" ? "" : `; it said:\n${said}`}`;
      this.complete(running, stopped?.status ?? (overdue ? "timed_out" : "crashed"), reason);
    }
    this.advance();
  }

  /**
   * Whether a file is not to be charged with the end of its runner: nothing was heard of the file, as when an
   * idle runner had been killed before the file reached it. Once per file: it may have been the file after all.
   */
  private unbegun({ file, heard, stopped }: FileRun): boolean {
    return !heard && stopped === undefined && !this.halted && !this.renewed.has(file.path);
  }

  /** Queues the file again, as the same attempt. */
  private renew(running: FileRun, how: string): void {
    const { file, attempt } = running;
    const text = `${file.path} gets another runner: its first one ${how} before it said anything of the file`;
    this.around.stream.emit("notice", { level: "info", text });
    this.renewed.set(file.path, attempt);
    this.attempts.set(file.path, attempt - 1);
    running.clear();
    this.desk.take({ event: "ended", path: file.path });
    this.enqueue(file);
  }

  // --- files -----------------------------------------------------------------------------------------------

  private dispatch(path: string, reservation: ResourceAmount): void {
    const { plan, around } = this;
    const file = this.files.get(path) as TestFile;
    const directory = around.directory(`file-${++this.serial}`);
    const attempt = (this.attempts.get(path) ?? 0) + 1;
    this.attempts.set(path, attempt);
    const running = new FileRun(file, { ...plan.job(file), directory }, around.stream, attempt, plan.keep);
    if (this.renewed.get(path) !== attempt)
      around.stream.emit("file_dispatched", { path, reservation, ...(attempt > 1 ? { attempt } : {}) });
    const worker = this.crew.employ(running);
    if (plan.timeoutMs === 0) return;
    const reason = `the file's deadline of ${formatDuration(plan.timeoutMs)} has passed`;
    running.after(plan.timeoutMs, () => this.stop(worker, running, reason, "timed_out"));
  }

  /** Asks a runner to end its file and kills it when it does not. */
  private stop(worker: Worker, running: FileRun, reason: string, status: FileStatus): void {
    if (running.stopped !== undefined) return;
    running.stopped = { reason, status };
    worker.runner.send({ type: "stop", reason });
    running.after(STOP_GRACE_MS, () => worker.runner.kill());
  }

  /** A test that allocates without end takes its own file down, not the host. */
  private checkMemory(): void {
    const { runnerMemory } = this.plan;
    for (const { runner, running } of this.crew.workers) {
      const bytes = running === undefined ? 0 : runner.memory();
      if (running === undefined || bytes <= runnerMemory) continue;
      const reason = `the file has filled ${formatSize(bytes)} of memory on the host; ${formatSize(runnerMemory)} are allowed`;
      running.stopped = { reason, status: "crashed" };
      runner.kill();
    }
  }

  private finished(
    worker: Worker,
    running: FileRun,
    end: { readonly status: FileStatus; readonly clean: boolean; readonly error?: string | undefined },
  ): void {
    worker.running = undefined;
    const { stopped } = running;
    const status = end.status === "passed" || stopped === undefined ? end.status : stopped.status;
    this.complete(running, status, end.error ?? (status === "timed_out" ? stopped?.reason : undefined));
    // The runner says `idle` when it is ready for the next one. A dirty one goes, and so does one that was stopped.
    if (!end.clean || stopped !== undefined) this.crew.retire(worker);
    this.advance();
  }

  private complete(running: FileRun, status: FileStatus, error: string | undefined): void {
    const { path } = running.file;
    const again = status !== "passed" && running.attempt <= this.plan.retries && !this.halted;
    this.times.set(path, running.end(status, error, again));
    this.crew.beContent();
    if (!again) {
      this.statuses.set(path, status);
      if (this.plan.failFast && status !== "passed") this.halt();
    }
    this.requests.fixtures?.fileEnded(path);
    this.desk.take({ event: "ended", path });
    if (again) this.enqueue(running.file);
  }

  private serve(worker: Worker, running: FileRun, id: number, request: Request): void {
    serveRequest(id, request, running.job, this.requests, (message) => {
      // The file may have ended while its request was being worked on.
      const waiting = worker.running === running;
      if (waiting) worker.runner.send(message);
      return waiting;
    });
  }
}

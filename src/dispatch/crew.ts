/**
 * The runner processes of a run: one at once, a further one whenever no file has ended for a moment. Files that take
 * milliseconds are through sooner in one warm process than in several that all have to warm up.
 */

import { HostError } from "../errors/errors.ts";
import type { Up } from "../runner/protocol.ts";
import type { FileRun } from "./file-run.ts";
import type { Runner, StartRunner } from "./runner-process.ts";

/** A runner is there in a twentieth of a second; on a host that swaps it may take longer. */
const START_MS = 30_000;
/** How long no file may end, while one runs, before another runner is started. */
const PATIENCE_MS = 100;
/** Runners that end before they ever took a file: after so many in a row no more are started, and without any other the run is given up. */
const START_FAILURES = 3;

/** One runner process and what it is doing. */
export interface Worker {
  readonly runner: Runner;
  /** It has said that it is there, and has no file. */
  readonly idle: boolean;
  running: FileRun | undefined;
}

interface Member extends Worker {
  runner: Runner;
  idle: boolean;
  /** Has taken a file at least once. */
  used: boolean;
  /** Was told to go; takes no file any more. */
  retired: boolean;
  readonly gone: PromiseWithResolvers<void>;
  /** It has said that it is there, or will not any more. */
  greeted: () => void;
}

export interface CrewListener {
  /** A worker can take a file, or another one could be started. */
  ready(): void;
  /** Something came from the runner of a file. */
  message(worker: Worker, running: FileRun, message: Exclude<Up, { type: "idle" }>): void;
  /** A worker's process has ended. `running` is the file that it had. */
  lost(running: FileRun | undefined, how: string, overdue: boolean, said: string): void;
  /** No runner can be started. */
  hopeless(error: HostError): void;
}

export class Crew {
  private readonly members = new Set<Member>();
  private startFailures = 0;
  /** Runs out when no file has ended for a while. */
  private patience: ReturnType<typeof setTimeout> | undefined;
  private ending = false;

  constructor(
    private readonly startRunner: StartRunner,
    private readonly listener: CrewListener,
  ) {}

  get workers(): Iterable<Worker> {
    return this.members;
  }

  get busy(): number {
    return this.count((member) => member.running !== undefined);
  }

  get idle(): number {
    return this.count((member) => member.idle);
  }

  /** Sees to it that up to `wanted` runners are there, in time. */
  grow(wanted: () => number): void {
    const more = (): boolean =>
      !this.ending && this.live < wanted() && (this.live === 0 || this.startFailures < START_FAILURES);
    if (this.live === 0 && more()) this.start();
    if (this.patience !== undefined || this.busy === 0 || !more()) return;
    this.patience = setTimeout(() => {
      this.patience = undefined;
      if (more()) this.start();
      this.listener.ready();
    }, PATIENCE_MS);
  }

  /** A file has ended: the runners that there are come along. */
  beContent(): void {
    clearTimeout(this.patience);
    this.patience = undefined;
  }

  /** Gives a file to an idle worker, which there must be. */
  employ(running: FileRun): Worker {
    const worker = [...this.members].find((member) => member.idle) as Member;
    worker.idle = false;
    worker.used = true;
    worker.running = running;
    worker.runner.send({ type: "run", job: running.job });
    return worker;
  }

  /** Ends a worker, which takes no further file. */
  retire(worker: Worker): void {
    const member = worker as Member;
    member.retired = true;
    member.idle = false;
    member.runner.kill();
  }

  /** Ends every worker; returns when all processes have ended. */
  async end(): Promise<void> {
    this.ending = true;
    this.beContent();
    for (const member of this.members) this.retire(member);
    await Promise.all([...this.members].map((member) => member.gone.promise));
  }

  private count(is: (member: Member) => boolean): number {
    let count = 0;
    for (const member of this.members) if (is(member)) count++;
    return count;
  }

  private get live(): number {
    return this.count((member) => !member.retired);
  }

  private start(): void {
    const member: Member = {
      runner: undefined as never,
      idle: false,
      running: undefined,
      used: false,
      retired: false,
      gone: Promise.withResolvers(),
      greeted: () => {},
    };
    member.runner = this.startRunner({
      message: (message) => {
        if (message.type === "idle") {
          member.greeted();
          member.idle = member.running === undefined && !member.retired;
          this.startFailures = 0;
          this.listener.ready();
        } else if (member.running !== undefined) this.listener.message(member, member.running, message);
      },
      gone: (how, overdue) => this.lost(member, how, overdue),
    });
    this.members.add(member);
    const overdue = setTimeout(() => member.runner.kill(), START_MS);
    member.greeted = () => clearTimeout(overdue);
  }

  private lost(member: Member, how: string, overdue: boolean): void {
    this.members.delete(member);
    member.greeted();
    member.gone.resolve();
    const { running } = member;
    const said = member.runner.complaints.trim();
    member.running = undefined;
    const stillborn = running === undefined && !member.used && !this.ending;
    if (stillborn) this.startFailures++;
    if (stillborn && this.startFailures >= START_FAILURES && this.live === 0)
      this.listener.hopeless(
        new HostError(`no runner can be started: the last one ${how}${said === "" ? "" : `\n${said}`}`),
      );
    else this.listener.lost(running, how, overdue, said);
  }
}

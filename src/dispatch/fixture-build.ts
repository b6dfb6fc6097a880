/** One build of a fixture: a runner of its own, from its start to the word that the snapshot is there. */

import { existsSync, rmSync } from "node:fs";
import { formatDuration, formatSize } from "../config/units.ts";
import { HostError, InterruptedError, ProviumError } from "../errors/errors.ts";
import type { EventStream } from "../events/stream.ts";
import type { ProviumEvent } from "../events/types.ts";
import type { BuiltFixture, Down, Job, Request } from "../runner/protocol.ts";
import { startDeadline } from "./deadline.ts";
import type { Runner, StartRunner } from "./runner-process.ts";

/** How long a runner may take to end its file after it was asked to. */
const STOP_GRACE_MS = 2000;
/** How often its memory is looked at. */
const MEMORY_CHECK_MS = 250;
/** Of what the fixture printed, this much is told with its failure: it may be a guest's words, and any number of them. */
const PRINTED_LINES = 20;
const PRINTED_CHARACTERS = 16 * 1024;

export interface BuildPlan {
  readonly job: Job;
  readonly stream: EventStream;
  readonly startRunner: StartRunner;
  /** Bytes that the runner may occupy. */
  readonly runnerMemory: number;
  /** Answers what the build asks for, through `reply`. */
  readonly serve: (id: number, request: Request, reply: (message: Down) => boolean) => void;
}

/** The builder went away without a word. */
export class BuilderLost extends HostError {}

export class FixtureBuild {
  private readonly runner: Runner;
  private readonly outcome = Promise.withResolvers<BuiltFixture>();
  private readonly gone = Promise.withResolvers<void>();
  private readonly timers: ReturnType<typeof startDeadline>[] = [];
  private printed = "";
  /** Why it is made to end. */
  private ending: ProviumError | undefined;
  private sent = false;
  private over = false;

  constructor(private readonly plan: BuildPlan) {
    const { job } = plan;
    // Whoever waits hears of a failure; when nobody does, it is nobody's loss.
    this.outcome.promise.catch(() => {});
    this.runner = plan.startRunner({
      message: (message) => {
        if (this.over) return;
        if (message.type === "idle") this.send();
        else if (message.type === "event") this.admit(message.event);
        else if (message.type === "request")
          plan.serve(message.id, message.request, (answer) => {
            if (!this.over) this.runner.send(answer);
            return !this.over;
          });
        else if (message.type === "finished") this.finished(message.error, message.built);
      },
      gone: (how) => this.lost(how),
    });
    if (job.timeoutMs > 0)
      this.after(job.timeoutMs, () =>
        this.end(new HostError(`it was not built within ${formatDuration(job.timeoutMs)}`)),
      );
    const guard = setInterval(() => this.checkMemory(), MEMORY_CHECK_MS);
    this.timers.push(guard);
  }

  /** The snapshot, or why there is none. */
  result(): Promise<BuiltFixture> {
    return this.outcome.promise;
  }

  /** Ends the build: politely, then by force. */
  stop(reason: string): void {
    this.end(new InterruptedError(reason));
  }

  /** Ends it at once. Returns when the process is gone. */
  async kill(): Promise<void> {
    this.runner.kill();
    await this.gone.promise;
  }

  private after(ms: number, action: () => void): void {
    this.timers.push(startDeadline(ms, action));
  }

  private send(): void {
    if (this.sent) return;
    this.sent = true;
    this.runner.send({ type: "run", job: this.plan.job });
  }

  /** What its machines do is part of the build, and told as one. */
  private admit(event: ProviumEvent): void {
    if (event.kind === "output")
      this.printed = (this.printed + event.payload.text).slice(-PRINTED_CHARACTERS);
    else if (event.kind === "notice") this.plan.stream.pass(event);
  }

  private end(why: ProviumError): void {
    if (this.over || this.ending !== undefined) return;
    this.ending = why;
    this.runner.send({ type: "stop", reason: why.message });
    this.after(STOP_GRACE_MS, () => this.runner.kill());
  }

  private checkMemory(): void {
    const bytes = this.runner.memory();
    if (this.ending !== undefined || bytes <= this.plan.runnerMemory) return;
    this.ending = new HostError(
      `it has filled ${formatSize(bytes)} of memory on the host; ${formatSize(this.plan.runnerMemory)} are allowed`,
    );
    this.runner.kill();
  }

  private finished(error: string | undefined, built: BuiltFixture | undefined): void {
    if (built !== undefined) this.outcome.resolve(built);
    else
      this.outcome.reject(this.ending ?? new ProviumError(this.withPrinted(error ?? "it returned nothing")));
    this.settle();
    this.runner.kill();
  }

  private withPrinted(error: string): string {
    if (this.printed === "") return error;
    const lines = this.printed.replace(/\n$/, "").split("\n").slice(-PRINTED_LINES);
    return `${error}\nIt printed:\n  ${lines.join("\n  ")}`;
  }

  private lost(how: string): void {
    const said = this.runner.complaints.trim();
    this.outcome.reject(
      this.ending ?? new BuilderLost(`its builder ${how}${said === "" ? "" : `; it said:\n${said}`}`),
    );
    this.settle();
    this.gone.resolve();
  }

  /** Stops its clocks and removes its directory. Idempotent. */
  private settle(): void {
    if (this.over) return;
    this.over = true;
    for (const timer of this.timers) clearTimeout(timer);
    try {
      const { directory } = this.plan.job;
      if (existsSync(directory)) rmSync(directory, { recursive: true, force: true });
    } catch {
      // A machine of a killed runner may still be on its way out; the end of the run removes the rest.
    }
  }
}

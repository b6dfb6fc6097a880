/** One file while a runner has it: its timers, its directory, and the events that it owes when it ends. */

import { existsSync, rmSync } from "node:fs";
import type { EventStream } from "../events/stream.ts";
import type { FileStatus, ProviumEvent } from "../events/types.ts";
import type { Job } from "../runner/protocol.ts";
import { startDeadline } from "./deadline.ts";
import type { TestFile } from "./discover.ts";
import { FileLedger } from "./ledger.ts";

export interface Stop {
  readonly reason: string;
  /** What becomes of the file when its runner has nothing better to say. */
  readonly status: FileStatus;
}

export class FileRun {
  /** Why the runner was asked to end the file. */
  stopped: Stop | undefined;
  /** Its runner has said something about it. */
  heard = false;
  private readonly ledger: FileLedger;
  private readonly started = performance.now();
  private readonly timers: ReturnType<typeof startDeadline>[] = [];

  constructor(
    readonly file: TestFile,
    readonly job: Job,
    private readonly stream: EventStream,
    /** From 1. */
    readonly attempt: number,
    private readonly keep: boolean,
  ) {
    this.ledger = new FileLedger(file.path);
  }

  /** Calls `action` after `ms`, unless the file has ended by then. */
  after(ms: number, action: () => void): void {
    this.timers.push(startDeadline(ms, action));
  }

  /** Passes on an event that the runner sent. */
  admit(event: ProviumEvent): void {
    for (const admitted of this.ledger.admit(event)) this.stream.pass(admitted);
  }

  /**
   * Settles what is open, says that the file is over, or with `again` that it is tried once more, and clears up.
   * Called once; the milliseconds that it took.
   */
  end(status: FileStatus, error: string | undefined, again: boolean): number {
    const ms = performance.now() - this.started;
    const reason = error ?? "the runner ended the file without ending this test";
    for (const owed of this.ledger.settle(reason)) this.stream.pass(owed);
    const { completion } = this.ledger;
    const text = error ?? completion?.error;
    const told = {
      path: this.file.path,
      status,
      duration_ns: Math.round(ms * 1e6),
      ...(text === undefined ? {} : { error: text }),
    };
    if (again) this.stream.emit("file_retried", { ...told, attempt: this.attempt });
    else
      this.stream.emit("file_completed", {
        ...told,
        ...(completion?.detail === undefined ? {} : { detail: completion.detail }),
        ...(this.attempt > 1 && status === "passed" ? { flaky: true } : {}),
      });
    this.clear();
    return ms;
  }

  /** Ends its timers and removes its directory. */
  clear(): void {
    for (const timer of this.timers) clearTimeout(timer);
    if (this.keep) return;
    try {
      if (existsSync(this.job.directory)) rmSync(this.job.directory, { recursive: true, force: true });
    } catch {
      // A machine of a killed runner may still be on its way out; the end of the run removes the rest.
    }
  }
}

/** One test file from its text to its last closed machine: top level, tests, clean-up. */

import { renderError } from "../errors/render.ts";
import type { FileStatus } from "../events/types.ts";
import type { LuaFunction } from "../lua/function.ts";
import { monotonic } from "../sys/op.ts";
import { Chunk, type SessionHost } from "./chunk.ts";
import { failureOf } from "./failure.ts";
import { Framework } from "./framework.ts";
import type { Job } from "./protocol.ts";

export interface FileOutcome {
  readonly status: FileStatus;
  /** The process may take another file. */
  readonly clean: boolean;
  readonly error: string | undefined;
}

/** Runs one file. Never throws: a bug of ours is an outcome too. */
export const runFile = (job: Job, host: SessionHost): FileOutcome => {
  const started = monotonic();
  let outcome: FileOutcome;
  let detail = {};
  try {
    const session = new Session(job, host);
    outcome = session.run();
    detail = session.chunkError?.detail ?? {};
  } catch (error) {
    outcome = { status: "crashed", clean: false, error: renderError(error) };
  } finally {
    host.reactor.setInterrupt(undefined);
  }
  host.emit("file_completed", {
    path: job.path,
    status: outcome.status,
    duration_ns: Math.round((monotonic() - started) * 1e6),
    ...(outcome.error === undefined ? {} : { error: outcome.error, detail }),
  });
  return outcome;
};

class Session {
  chunkError: ReturnType<typeof failureOf> | undefined;
  private readonly chunk: Chunk;
  private readonly framework: Framework;

  constructor(
    private readonly job: Job,
    private readonly host: SessionHost,
  ) {
    const chunk = new Chunk(job, host);
    this.chunk = chunk;
    this.framework = new Framework({
      job,
      state: chunk.state,
      surface: chunk.surface,
      deadlines: chunk.deadlines,
      emit: host.emit,
      closeTest: () => chunk.close(chunk.surface.leaveTest()),
      wait: (op) => host.reactor.run(op),
      drawAnew: (place) => chunk.drawAnew(place),
    });
  }

  run(): FileOutcome {
    const { chunk, job } = this;
    try {
      chunk.open();
      this.framework.install();
      const body = this.load();
      if (body !== undefined) {
        if (job.dialect === "classic") this.framework.runClassicFile(body);
        else this.runLabFile(body);
      }
    } finally {
      chunk.end();
    }
    const ended = this.framework.ended;
    const failed = this.framework.failures > 0 || this.chunkError !== undefined;
    const status = ended?.by === "file" ? "timed_out" : failed || ended !== undefined ? "failed" : "passed";
    return {
      status,
      clean: chunk.clean && ended === undefined && this.framework.bugs === 0,
      error: this.chunkError?.reason ?? (ended?.by === "file" ? ended.message : undefined),
    };
  }

  private load(): LuaFunction | undefined {
    try {
      return this.chunk.load();
    } catch (error) {
      this.fail(error);
      return undefined;
    }
  }

  private runLabFile(body: LuaFunction): void {
    try {
      body.call();
      const [lost] = this.chunk.state.tasks.close().failures;
      if (lost !== undefined) throw lost;
      this.host.reactor.run(this.chunk.surface.reset.begin());
    } catch (error) {
      const ended = this.chunk.deadlines.ended;
      if (ended !== undefined) this.framework.ended = ended;
      this.fail(error);
      this.framework.skipRegistered("the top level of the file failed");
      return;
    }
    this.framework.runRegistered();
  }

  private fail(error: unknown): void {
    this.chunkError = failureOf(this.chunk.state, error);
  }
}

/** One test file from its text to its last closed machine: state, surface, top level, tests, clean-up. */

import { readFileSync } from "node:fs";
import { dirname } from "node:path";
import type { Surface } from "../api/install.ts";
import { HostError } from "../errors/errors.ts";
import { renderError } from "../errors/render.ts";
import type { Emit, FileStatus } from "../events/types.ts";
import type { LuaFunction } from "../lua/function.ts";
import { fn } from "../lua/native.ts";
import { LuaState } from "../lua/state.ts";
import { libc } from "../sys/libc.ts";
import { monotonic, type Op } from "../sys/op.ts";
import type { Reactor } from "../sys/reactor.ts";
import { globalAssertions } from "./assertions.ts";
import { Deadlines } from "./deadlines.ts";
import { failureOf } from "./failure.ts";
import { Framework } from "./framework.ts";
import { captureOutput } from "./output.ts";
import type { Job } from "./protocol.ts";
import { refuseUnfit } from "./refusals.ts";

/** What a file may take to close what it has opened: several machines that power off side by side. */
const CLOSING_MS = 30_000;
/** The same once the file has been told to end: the dispatcher waits two seconds before it kills. */
const HASTY_CLOSING_MS = 1_000;
/** How often descriptors are served while Lua computes. */
const SERVE_EVERY_MS = 20;

export interface SessionHost {
  readonly reactor: Reactor;
  readonly emit: Emit;
  /** The dispatcher's order to end the file, once there is one. */
  stopped(): string | undefined;
  /** Adds the API of labs and VMs to a fresh state. */
  install(state: LuaState): Surface;
}

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
  private readonly state: LuaState;
  private readonly surface: Surface;
  private readonly framework: Framework;
  private readonly deadlines: Deadlines;
  private clean = true;

  constructor(
    private readonly job: Job,
    private readonly host: SessionHost,
  ) {
    const { reactor, emit } = host;
    this.deadlines = new Deadlines(
      job.timeoutMs,
      () => host.stopped(),
      (seconds) => void libc.alarm(seconds),
    );
    this.state = new LuaState({
      reactor,
      memoryLimitMb: job.luaMemoryMb,
      roots: [...new Set([...job.roots, dirname(job.file), job.project])],
      project: job.project,
    });
    this.surface = host.install(this.state);
    this.framework = new Framework({
      job,
      state: this.state,
      surface: this.surface,
      deadlines: this.deadlines,
      emit,
      closeTest: () => this.close(this.surface.leaveTest()),
    });
  }

  run(): FileOutcome {
    const { state, job } = this;
    try {
      this.installGlobals();
      this.guardLua();
      const chunk = this.load();
      if (chunk !== undefined) {
        if (job.dialect === "classic") this.framework.runClassicFile(chunk);
        else this.runLabFile(chunk);
      }
    } finally {
      state.tasks.close();
      this.close(this.surface.closeFile());
      state.close();
    }
    const ended = this.framework.ended;
    const failed = this.framework.failures > 0 || this.chunkError !== undefined;
    const status = ended?.by === "file" ? "timed_out" : failed || ended !== undefined ? "failed" : "passed";
    return {
      status,
      clean: this.clean && ended === undefined && this.framework.bugs === 0,
      error: this.chunkError?.reason ?? (ended?.by === "file" ? ended.message : undefined),
    };
  }

  private installGlobals(): void {
    const { state, job, host } = this;
    captureOutput(state, (text) => host.emit("output", { path: job.path, text }));
    refuseUnfit(state);
    for (const [name, value] of Object.entries(globalAssertions(state))) state.setGlobal(name, value);
    state.setGlobal("co", state.global("coroutine"));
    if (job.dialect === "classic") installClassicNames(state);
    this.framework.install();
  }

  /** Deadlines and orders reach Lua wherever it is; while it computes, consoles are drained. */
  private guardLua(): void {
    const { reactor } = this.host;
    const { check, next } = this.deadlines;
    reactor.setInterrupt({ check, deadline: next });
    let served = monotonic();
    this.state.setWatchdog(() => {
      const now = monotonic();
      if (now - served >= SERVE_EVERY_MS) {
        served = now;
        reactor.poll();
      }
      return check();
    });
  }

  private load(): LuaFunction | undefined {
    try {
      return this.state.load(this.text(), this.job.path, this.job.file);
    } catch (error) {
      this.fail(error);
      return undefined;
    }
  }

  private text(): Uint8Array {
    try {
      return readFileSync(this.job.file);
    } catch (cause) {
      throw new HostError(`cannot read ${this.job.file}`, { cause });
    }
  }

  private runLabFile(chunk: LuaFunction): void {
    try {
      chunk.call();
      const [lost] = this.state.tasks.close();
      if (lost !== undefined) throw lost;
    } catch (error) {
      const ended = this.deadlines.ended;
      if (ended !== undefined) this.framework.ended = ended;
      this.fail(error);
      this.framework.skipRegistered("the top level of the file failed");
      return;
    }
    this.framework.runRegistered();
  }

  private fail(error: unknown): void {
    this.chunkError = failureOf(this.state, error);
  }

  /** Runs a clean-up within bounds. What cannot be closed politely is ended. */
  private close(op: Op<readonly Error[]>): void {
    const { host, job, deadlines } = this;
    const hasty = deadlines.ended !== undefined;
    if (hasty) this.surface.killAll();
    deadlines.startClosing(hasty ? HASTY_CLOSING_MS : CLOSING_MS);
    try {
      for (const error of host.reactor.run(op))
        host.emit("notice", { level: "warning", text: `${job.path}: ${renderError(error)}` });
    } catch (error) {
      this.clean = false;
      this.surface.killAll();
      host.emit("notice", { level: "warning", text: `${job.path}: clean-up failed: ${renderError(error)}` });
    } finally {
      deadlines.endClosing();
    }
  }
}

/** The names of Lua 5.1 that classic files may use. */
const installClassicNames = (state: LuaState): void => {
  const table = state.table("table");
  state.setGlobal("unpack", table.get("unpack"));
  state.setGlobal("loadstring", state.global("load"));
  table.set(
    "getn",
    fn("getn", "(t: table): integer", "The length of a sequence.", (args) => args.table(1).length),
  );
};

/** One Lua file with all that it needs to run: its state and globals, the API of labs, its deadlines, its clean-up. */

import { readFileSync } from "node:fs";
import { dirname } from "node:path";
import type { Surface } from "../api/install.ts";
import { HostError } from "../errors/errors.ts";
import { renderError } from "../errors/render.ts";
import type { Emit } from "../events/types.ts";
import type { Recorder } from "../fixture/recorder.ts";
import type { LuaFunction } from "../lua/function.ts";
import { fn } from "../lua/native.ts";
import { LuaState } from "../lua/state.ts";
import { libc } from "../sys/libc.ts";
import { monotonic, type Op } from "../sys/op.ts";
import type { Reactor } from "../sys/reactor.ts";
import { globalAssertions } from "./assertions.ts";
import { Deadlines } from "./deadlines.ts";
import { captureOutput } from "./output.ts";
import type { Job } from "./protocol.ts";
import { FileRandom } from "./random.ts";
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
  /** Adds the API of labs and VMs to a fresh state; with a recorder, to that of a fixture that is built. */
  install(state: LuaState, recorder?: Recorder): Surface;
}

export class Chunk {
  readonly state: LuaState;
  readonly surface: Surface;
  readonly deadlines: Deadlines;
  /** Everything was closed as it should be. */
  clean = true;
  private random: FileRandom | undefined;

  constructor(
    readonly job: Job,
    private readonly host: SessionHost,
    recorder?: Recorder,
  ) {
    this.deadlines = new Deadlines(
      job.timeoutMs,
      () => host.stopped(),
      (seconds) => void libc.alarm(seconds),
    );
    this.state = new LuaState({
      reactor: host.reactor,
      memoryLimitMb: job.luaMemoryMb,
      roots: [...new Set([...job.roots, dirname(job.file), job.project])],
      project: job.project,
    });
    this.surface = host.install(this.state, recorder);
  }

  /** Defines the globals that every file has, and lets deadlines and orders reach Lua wherever it is. */
  open(): void {
    const { state, job, host } = this;
    captureOutput(state, (text) => host.emit("output", { path: job.path, text }));
    refuseUnfit(state);
    for (const [name, value] of Object.entries(globalAssertions(state))) state.setGlobal(name, value);
    if (job.seed !== undefined) this.random = new FileRandom(state, `${job.seed}:${job.path}`);
    state.setGlobal("co", state.global("coroutine"));
    if (job.dialect === "classic") installClassicNames(state);
    this.guard();
  }

  /** While Lua computes, consoles are drained. */
  private guard(): void {
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

  /** From here on `math.random` draws what it always draws at this place of the file. */
  drawAnew(place: string): void {
    this.random?.restart(place);
  }

  /** The file's top level. Throws what is wrong with the text. */
  load(): LuaFunction {
    return this.state.load(this.text(), this.job.path, this.job.file);
  }

  private text(): Uint8Array {
    try {
      return readFileSync(this.job.file);
    } catch (cause) {
      throw new HostError(`cannot read ${this.job.file}`, { cause });
    }
  }

  /** Runs a clean-up within bounds. What cannot be closed politely is ended. */
  close(op: Op<readonly Error[]>): void {
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

  /** Ends its tasks, closes whatever is left of the file, and drops the state. */
  end(): void {
    this.state.tasks.close();
    this.close(this.surface.closeFile());
    this.state.close();
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

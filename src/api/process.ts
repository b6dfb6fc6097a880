/** A command that runs beside the test: what `run_async` returns. */

import { ApiError, GuestError } from "../errors/errors.ts";
import type { CommandResult, GuestProcess } from "../lab/ports.ts";
import type { Registry } from "../lab/registry.ts";
import type { Args } from "../lua/args.ts";
import { defineClass, method } from "../lua/native.ts";
import { after, called, type Deadline, NEVER, type Op } from "../sys/op.ts";
import { durationMs } from "./arguments.ts";
import { parseRun } from "./command.ts";
import { type GuestHandle, type GuestMethods, guestMethod } from "./handles.ts";
import { Held, registryOf } from "./held.ts";
import { RunResult } from "./result.ts";
import { SIGKILL, SIGTERM, signalArgument } from "./signals.ts";
import { type Stream, Tail } from "./stream.ts";

/** How long a process may take to act on SIGTERM when it is closed. */
const GRACE_MS = 2_000;
const ESRCH = 3;

const OUTPUTS = { 1: "proc_stdout_stream", 2: "proc_stderr_stream" } as const;

export class Process extends Held {
  private result: RunResult | undefined;
  /** A wait was too long, and ends it. */
  private expired = false;
  private stdinOpen = true;
  private readonly streams = new Map<1 | 2, Stream>();

  constructor(
    guest: GuestHandle,
    registry: Registry,
    readonly process: GuestProcess,
    /** The command as a person would type it. */
    readonly command: string,
  ) {
    super(guest, "process", registry);
  }

  get label(): string {
    return `process ${this.process.handle} (${this.command}) of ${this.guest.label}`;
  }

  /** Whether it runs, as far as the host knows. */
  get running(): boolean {
    return !this.closed && !this.lost && this.process.exit === undefined;
  }

  /** The result, also long after; undefined when the deadline passes first. */
  *wait(deadline: Deadline): Op<RunResult | undefined> {
    if (this.result !== undefined) return this.result;
    this.checkOpen("wait");
    const result = yield* this.guest.vm.call("wait", () =>
      called(this.process.wait(deadline), "wait", this.label),
    );
    return result && (yield* this.finish(result));
  }

  /** Ends it at once; the result of a wait that was too long. */
  *expire(): Op<RunResult> {
    this.expired = true;
    yield* this.signal(SIGKILL, true);
    const result = (yield* this.guest.vm.call("wait", () => this.process.wait(NEVER))) as CommandResult;
    return yield* this.finish(result);
  }

  /** To the whole process group, or to the process alone. Of no effect after its end. */
  *signal(signal: number, group: boolean): Op<void> {
    if (this.result !== undefined || this.process.exit !== undefined) return;
    this.checkOpen("signal");
    try {
      yield* this.guest.vm.call("signal", () => this.process.signal(signal, group));
    } catch (error) {
      if (!(error instanceof GuestError && error.errno === ESRCH)) throw error;
    }
  }

  *status(): Op<{ running: boolean; exit_code?: number | undefined; signal?: number | undefined }> {
    if (this.result === undefined && !this.closed) {
      this.checkLife("status");
      const { running, exit } = yield* this.guest.vm.call("status", () => this.process.status());
      if (running) return { running };
      if (exit !== undefined) return ended(new RunResult({ ...exit, ...NO_OUTPUT }, this.command));
    }
    const { exit } = this.process;
    if (this.result !== undefined) return ended(this.result);
    return exit === undefined
      ? { running: false }
      : ended(new RunResult({ ...exit, ...NO_OUTPUT }, this.command));
  }

  *write(data: Uint8Array): Op<number> {
    if (!this.stdinOpen) throw new ApiError("stdin_write: stdin is closed");
    this.checkOpen("stdin_write");
    yield* this.guest.vm.call("stdin_write", () => this.process.stdinWrite(data));
    return data.byteLength;
  }

  *closeStdin(): Op<void> {
    if (!this.stdinOpen) return;
    this.stdinOpen = false;
    if (this.closed || this.process.exit !== undefined) return;
    this.checkLife("close_stdin");
    yield* this.guest.vm.call("close_stdin", () => this.process.stdinClose());
  }

  /** An output as a stream; the same one until it is closed. */
  stream(stream: 1 | 2): Stream {
    const made = this.streams.get(stream);
    if (made !== undefined && !made.closed) return made;
    this.checkLife(OUTPUTS[stream].slice("proc_".length));
    const source = this.process.stream(stream);
    const tail = new Tail(
      this.guest,
      this.registry,
      {
        take: (limit) => source.take(limit),
        get pending() {
          return source.pending;
        },
        get ended() {
          return source.ended;
        },
        get failure() {
          return source.failure;
        },
        // Nothing to end in the guest: the process keeps its pipe.
        *close() {},
      },
      { kind: OUTPUTS[stream], detail: `handle=${this.process.handle}` },
    );
    this.streams.set(stream, tail);
    return tail;
  }

  protected *release(): Op<void> {
    yield* this.process.close(GRACE_MS);
  }

  private checkOpen(call: string): void {
    this.checkLife(call);
    if (this.closed) throw new ApiError(`${call}: ${this.label} is closed`);
  }

  private *finish(result: CommandResult): Op<RunResult> {
    if (this.result !== undefined) return this.result;
    // One that is to be killed may still have ended by itself.
    const killed = this.expired && result.how === "signalled" && result.code === SIGKILL;
    this.result = new RunResult(killed ? { ...result, timedOut: true } : result, this.command);
    this.forget();
    yield* this.process.close(0);
    return this.result;
  }
}

const NO_OUTPUT = { stdout: new Uint8Array(0), stderr: new Uint8Array(0) };

const ended = (result: RunResult) => ({
  running: false,
  exit_code: result.exitCode,
  signal: result.signal,
});

/** Starts a command and registers it with the scope. */
export function* startProcess(self: GuestHandle, args: Args): Op<Process> {
  const opts = args.any(2);
  if (opts !== undefined) {
    const table = args.table(2, "run_async: opts");
    for (const key of ["timeout", "timeout_ms"])
      if (table.has(key))
        throw new ApiError(`run_async: opts.${key} is not supported; a limit belongs to proc:wait(timeout)`);
  }
  const { command, label } = parseRun(args, "run_async");
  const registry = registryOf(self);
  const process = yield* self.call("run_async", (actor) => actor.start({ ...command, stdinOpen: true }));
  return new Process(self, registry, process, label);
}

const processMethod = method<Process>;

function* kill(self: Process, args: Args): Op<void> {
  const signal = args.absent(1) ? SIGTERM : signalArgument(args.any(1), `${args.callee}: signal`);
  const opts = args.optTable(2, `${args.callee}: opts`);
  opts?.only(["group"]);
  yield* self.signal(signal, opts?.optBoolean("group") ?? true);
}

defineClass<Process>({
  name: "Process",
  of: Process as unknown as abstract new () => Process,
  doc: "A command that `run_async` has started. It ends with its scope at the latest: SIGTERM, and SIGKILL 2 s later.",
  methods: {
    wait: processMethod(
      "(timeout?: duration, opts?: {kill?: boolean}): RunResult|nil",
      "Waits for the end and returns the result, also when asked again. With 0 it polls: nil while the process runs. After a positive timeout the process is killed and the result says `timed_out`; with `{kill = false}` it runs on and the answer is nil. Output that was read from a stream is missing from the result.",
      function* (self, args) {
        const ms = args.absent(1) ? undefined : durationMs(args.any(1), "wait: timeout");
        const opts = args.optTable(2, "wait: opts");
        opts?.only(["kill"]);
        const kills = opts?.optBoolean("kill") ?? true;
        const deadline = ms === undefined ? NEVER : after(Math.max(1, ms));
        const result = yield* self.wait(deadline);
        if (result !== undefined) return result;
        return ms !== 0 && kills ? yield* self.expire() : null;
      },
    ),
    kill: processMethod(
      "(signal?: string|integer, opts?: {group?: boolean})",
      'Sends a signal, SIGTERM by default: a number or a name ("term", "SIGTERM"). It goes to the process and everything it has started in its process group; with `{group = false}` to the process alone. Of no effect after its end.',
      kill,
    ),
    signal: processMethod(
      "(signal: string|integer, opts?: {group?: boolean})",
      "As kill, with a signal that must be given.",
      function* (self, args) {
        signalArgument(args.any(1), "signal: signal");
        yield* kill(self, args);
      },
    ),
    pid: processMethod("(): integer", "Its process id in the guest.", (self) => self.process.pid),
    handle: processMethod(
      "(): integer",
      "A number that names it in messages, never used twice in a boot.",
      (self) => self.process.handle,
    ),
    status: processMethod(
      "(): {running: boolean, exit_code?: integer, signal?: integer}",
      "Whether it runs, and how it ended: exit code as in a RunResult. Never waits for the process.",
      function* (self) {
        return yield* self.status();
      },
    ),
    stdin_write: processMethod(
      "(data: string): integer",
      "Writes to its standard input and returns the number of bytes when all of them are in the pipe.",
      function* (self, args) {
        return yield* self.write(args.bytes(1, "data"));
      },
    ),
    close_stdin: processMethod("()", "Ends its standard input. Repeatable.", function* (self) {
      yield* self.closeStdin();
    }),
    stdout_stream: processMethod("(): Tail", "Its standard output as it comes.", (self) => self.stream(1)),
    stderr_stream: processMethod("(): Tail", "Its standard error as it comes.", (self) => self.stream(2)),
    close: processMethod(
      "()",
      "Ends it if it runs: SIGTERM, and SIGKILL 2 s later. Of no effect after `wait`.",
      function* (self) {
        yield* self.close();
      },
    ),
  },
  text: (self) => `Process: ${self.label}`,
  close: (self) => self.close(),
});

export const PROCESS_METHODS: GuestMethods = {
  run_async: guestMethod(
    "(cmd: string|string[], args_or_opts?: string[]|RunOptions): Process",
    "Starts a command and goes on. Call shapes and options as of `run`, without timeouts; `stdin` holds the first bytes of an input that stays open until `close_stdin`.",
    function* (self, args) {
      return yield* startProcess(self, args);
    },
  ),
};

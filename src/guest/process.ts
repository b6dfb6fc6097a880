/**
 * A command in the guest: started by a task, its pipes and its exit owned by the agent's I/O process.
 */

import { GuestError, InterruptedError, ProtocolError } from "../errors/errors.ts";
import type { Command, CommandResult, ExitStatus, GuestProcess, OutputStream } from "../lab/ports.ts";
import { after, type Deadline, monotonic, type Op, until } from "../sys/op.ts";
import type { Client, ProcessListener, Request, Revival } from "./client.ts";
import { ACTOR_IO, type Payload, type Reply } from "./messages.ts";
import { Output, WINDOW_BYTES } from "./output.ts";
import { printable } from "./wording.ts";

/** Input that travels with the start of the command; the rest follows as the command reads. */
const FIRST_INPUT_BYTES = 256 * 1024;
const INPUT_BYTES = 256 * 1024;
/** How long after an exit output is waited for when somebody else still holds the pipe. */
const ORPHAN_QUIET_MS = 100;
const ORPHAN_LIMIT_MS = 2_000;
/** Questions after which two full pipes have been read. */
const CATCHING_UP = 4;

export const exitOf = (how: number | bigint, code: number | bigint, timedOut: boolean): ExitStatus => ({
  how: Number(how) === 1 ? "signalled" : "exited",
  code: Number(code),
  timedOut,
});

export class RemoteProcess implements GuestProcess, ProcessListener {
  readonly handle: number;
  pid = 0;
  exit: ExitStatus | undefined;
  private readonly outputs: readonly [Output, Output];
  private waiters = 0;
  private failure: Error | undefined;
  private closing: Request<"PROC_CLOSE"> | undefined;
  /** Input of the command that did not fit the start and is still being fed. */
  private rest: Uint8Array | undefined;

  private constructor(
    private client: Client,
    private readonly label: string,
  ) {
    this.handle = client.newProcess(this);
    this.outputs = [
      new Output((bytes) => this.client.credit(this.handle, 1, bytes)),
      new Output((bytes) => this.client.credit(this.handle, 2, bytes)),
    ];
  }

  /** Starts a command as a child of `actor`'s task. GuestError when it cannot be executed. */
  static *start(client: Client, actor: number, command: Command): Op<RemoteProcess> {
    const label = printable(command.argv[0] ?? new Uint8Array(0));
    const process = new RemoteProcess(client, label);
    const { stdin } = command;
    const first = stdin?.subarray(0, FIRST_INPUT_BYTES);
    const rest = stdin?.subarray(FIRST_INPUT_BYTES);
    const more = rest !== undefined && rest.byteLength > 0;
    const request = client.begin(
      "PROC_START",
      {
        process: process.handle,
        argv: command.argv,
        env: command.env,
        env_clear: command.envClear,
        cwd: command.cwd ?? null,
        stdin: first ?? null,
        stdin_open: command.stdinOpen || more,
        timeout_ms: command.timeoutMs,
        window: WINDOW_BYTES,
      },
      {
        actor,
        subject: { call: "start", object: label },
        // Given up while it started: nobody has the handle, so it is ended here.
        late: () => process.release(0),
        done: (error) => error && client.forgetProcess(process.handle),
      },
    );
    process.pid = Number((yield* request.wait()).pid);
    if (more) process.feed(rest, !command.stdinOpen);
    return process;
  }

  *wait(deadline: Deadline): Op<CommandResult | undefined> {
    const [stdout, stderr] = this.outputs;
    this.waiters++;
    try {
      stdout.replenish(true);
      stderr.replenish(true);
      yield* until(() => this.exit !== undefined || this.failure !== undefined, deadline);
      if (this.exit === undefined) {
        if (this.failure !== undefined) throw this.failure;
        return undefined;
      }
      yield* this.remains();
      return { ...this.exit, stdout: stdout.joined(), stderr: stderr.joined() };
    } finally {
      this.waiters--;
    }
  }

  /** After the exit: waits for the end of both outputs, or until a foreign holder of the pipes is quiet. */
  private *remains(): Op<void> {
    const [stdout, stderr] = this.outputs;
    const limit = after(ORPHAN_LIMIT_MS);
    const over = (): boolean => (stdout.ended && stderr.ended) || this.failure !== undefined;
    for (;;) {
      const seen = stdout.pushes + stderr.pushes;
      const quiet = (): boolean => stdout.pushes + stderr.pushes === seen;
      if (yield* until(over, Math.min(limit, after(ORPHAN_QUIET_MS)))) return;
      if (!quiet() && monotonic() < limit) continue;
      // It may as well be a busy host that keeps the agent from saying what the command itself has left in the pipes.
      yield* this.caughtUp();
      if (over() || quiet() || monotonic() >= limit) return;
    }
  }

  /** Behind each answer the agent sends what it finds in the pipes, up to half a MiB: all that was there is here afterwards. */
  private *caughtUp(): Op<void> {
    try {
      for (let i = 0; i < CATCHING_UP; i++) yield* this.asked();
    } catch (error) {
      // The agent has told all and forgotten the command, or is gone: there is no more to come.
      if (error instanceof InterruptedError) throw error;
    }
  }

  private asked(): Op<Reply<"PROC_STATUS">> {
    return this.client.call(
      "PROC_STATUS",
      { process: this.handle },
      { actor: ACTOR_IO, subject: { call: "status", object: this.label } },
    );
  }

  collected(stream: 1 | 2): Uint8Array {
    return this.outputs[stream - 1]!.joined();
  }

  stream(stream: 1 | 2): OutputStream {
    return this.outputs[stream - 1]!;
  }

  *signal(signal: number, group: boolean): Op<void> {
    const subject = { call: "signal", object: this.label };
    yield* this.client.call(
      "PROC_SIGNAL",
      { process: this.handle, signal, group },
      { actor: ACTOR_IO, subject },
    );
  }

  *stdinWrite(data: Uint8Array): Op<void> {
    yield* until(() => this.rest === undefined);
    for (let at = 0; at < data.byteLength; at += INPUT_BYTES)
      yield* this.input(data.subarray(at, at + INPUT_BYTES), false).wait();
  }

  *stdinClose(): Op<void> {
    yield* until(() => this.rest === undefined);
    yield* this.input(new Uint8Array(0), true).wait();
  }

  *status(): Op<{ readonly running: boolean; readonly exit: ExitStatus | undefined }> {
    if (this.exit !== undefined) return { running: false, exit: this.exit };
    const status = yield* this.asked();
    const exit = status.running ? undefined : (this.exit ?? exitOf(status.how, status.code, false));
    return { running: status.running, exit };
  }

  *close(graceMs: number): Op<void> {
    const request = this.release(graceMs);
    // Not `request.wait()`: an interruption must not take the order to end the process back.
    yield* until(() => request.settled);
    // With the session the process is gone too, and closing was asked for.
    if (this.client.ended === undefined) request.take();
  }

  /** All has been said: what is left in the agent is a slot to free. */
  get over(): boolean {
    return this.exit !== undefined && this.outputs.every((output) => output.ended);
  }

  /** Ends the process and gives its slot back without waiting for it. `later`: together with the next request. Idempotent. */
  release(graceMs: number, later = false): Request<"PROC_CLOSE"> {
    this.rest = undefined;
    this.closing ??= this.client.begin(
      "PROC_CLOSE",
      { process: this.handle, grace_ms: graceMs },
      {
        actor: ACTOR_IO,
        subject: { call: "close", object: this.label },
        done: () => {
          this.client.forgetProcess(this.handle);
          for (const output of this.outputs) output.end();
        },
        later,
      },
    );
    return this.closing;
  }

  output(data: Payload<"DATA">): void {
    const stream = Number(data.stream);
    const output = this.outputs[stream - 1];
    if (output === undefined) throw new ProtocolError(`DATA for stream ${stream}; there are 1 and 2`);
    output.push(data.data, data.eof, this.waiters > 0);
  }

  exited(exit: Payload<"EXIT">): void {
    if (this.exit !== undefined) throw new ProtocolError(`a second EXIT for process ${this.handle}`);
    this.exit = exitOf(exit.how, exit.code, exit.timed_out);
  }

  get busy(): string | undefined {
    return this.rest === undefined ? undefined : `the input of \`${this.label}\` is still on its way to it`;
  }

  capture(): Revival {
    const { exit } = this;
    const [stdout, stderr] = this.outputs.map((output) => output.state);
    return (client) => {
      this.client = client;
      this.exit = exit;
      this.outputs[0].state = stdout!;
      this.outputs[1].state = stderr!;
      this.failure = undefined;
      this.closing = undefined;
    };
  }

  lost(reason: Error): void {
    this.failure = reason;
    this.rest = undefined;
    for (const output of this.outputs) output.end(reason);
  }

  /** Sends the rest of the input piece by piece, each when the one before is in the pipe. */
  private feed(rest: Uint8Array, close: boolean): void {
    const piece = rest.subarray(0, INPUT_BYTES);
    const after = rest.subarray(INPUT_BYTES);
    const last = after.byteLength === 0;
    this.rest = rest;
    this.input(piece, close && last, (error) => {
      // A command that does not read its input to the end is no failure of the call.
      if (error !== undefined || last || this.rest === undefined) this.rest = undefined;
      else this.feed(after, close);
    });
  }

  private input(
    data: Uint8Array,
    close: boolean,
    done?: (error: Error | undefined) => void,
  ): Request<"PROC_STDIN"> {
    return this.client.begin(
      "PROC_STDIN",
      { process: this.handle, data, close },
      { actor: ACTOR_IO, subject: { call: "stdin_write", object: this.label }, ...(done && { done }) },
    );
  }
}

/** Start, wait, give back, in one. */
export function* runCommand(client: Client, actor: number, command: Command): Op<CommandResult> {
  const process = yield* RemoteProcess.start(client, actor, command);
  try {
    const result = yield* process.wait(Number.POSITIVE_INFINITY);
    if (result === undefined) throw new GuestError("the command did not end", 0);
    return result;
  } finally {
    process.release(0, process.over);
  }
}

/**
 * A system call that may block for ever: to the agent a process, whose standard output is the result.
 */

import { GuestError, ProtocolError } from "../errors/errors.ts";
import type { ExitStatus, PendingCall, SyscallRequest, SyscallResult } from "../lab/ports.ts";
import { type Deadline, type Op, until } from "../sys/op.ts";
import type { Client, ProcessListener, Request, Revival } from "./client.ts";
import { ACTOR_IO, type Payload } from "./messages.ts";
import { type Integer, Reader } from "./msgpack.ts";
import { Output, WINDOW_BYTES } from "./output.ts";
import { exitOf } from "./process.ts";

export class RemoteCall implements PendingCall, ProcessListener {
  readonly handle: number;
  pid = 0;
  private readonly answer: Output;
  private exit: ExitStatus | undefined;
  private failure: Error | undefined;
  private result: SyscallResult | undefined;
  private cancelled: Request<"PROC_CLOSE"> | undefined;

  private constructor(
    private client: Client,
    private readonly actor: number,
    private readonly label: string,
  ) {
    this.handle = client.newProcess(this);
    this.answer = new Output((bytes) => this.client.credit(this.handle, 1, bytes));
  }

  /**
   * Starts the call, whose number is `nr`. GuestError when the request makes no sense or there is no process for it.
   */
  static *start(client: Client, actor: number, request: SyscallRequest, nr: Integer): Op<RemoteCall> {
    const { args, bufs, ptrs, nested } = request;
    const call = new RemoteCall(client, actor, `syscall ${request.nr}`);
    const started = client.begin(
      "SYSCALL_START",
      { process: call.handle, nr, args, bufs, ptrs, nested: nested.flat(), window: WINDOW_BYTES },
      {
        actor,
        subject: { call: call.label },
        late: () => call.release(),
        done: (error) => error && client.forgetProcess(call.handle),
      },
    );
    call.pid = Number((yield* started.wait()).pid);
    return call;
  }

  get done(): boolean {
    return this.failure !== undefined || (this.exit !== undefined && this.answer.ended);
  }

  *wait(deadline: Deadline): Op<SyscallResult | undefined> {
    if (!(yield* until(() => this.done, deadline))) return undefined;
    if (this.result !== undefined) return this.result;
    if (this.failure !== undefined) throw this.failure;
    const answer = this.answer.joined();
    this.answer.drop();
    if (answer.byteLength === 0) {
      this.failure = this.interrupted();
      throw this.failure;
    }
    this.result = decoded(answer);
    return this.result;
  }

  *cancel(): Op<void> {
    if (this.done) return;
    this.failure = new GuestError(`${this.label}: the call was cancelled`, 0);
    const request = this.release();
    // Not `request.wait()`: an interruption must not take the order to end the call back.
    yield* until(() => request.settled);
    if (this.client.ended === undefined) request.take();
  }

  private release(): Request<"PROC_CLOSE"> {
    this.cancelled ??= this.client.begin(
      "PROC_CLOSE",
      { process: this.handle, grace_ms: 0 },
      {
        actor: ACTOR_IO,
        subject: { call: "cancel", object: this.label },
        done: () => {
          this.client.forgetProcess(this.handle);
          this.tidy();
        },
      },
    );
    return this.cancelled;
  }

  /**
   * A process that was killed in its call leaves memory and a pipe in the task it shares them with. The task frees them
   * before its next request, whichever that is.
   */
  private tidy(): void {
    if (this.answer.pending === 0) this.client.post("CLOCK_GET", {}, this.actor);
  }

  /** The process ended without an answer: the call itself did that, or a signal. */
  private interrupted(): GuestError {
    const exit = this.exit;
    const how =
      exit?.how === "signalled"
        ? `was killed by signal ${exit.code}`
        : `exited with status ${exit?.code ?? 0}`;
    return new GuestError(`${this.label}: the process that made the call ${how} before it returned`, 0);
  }

  output(data: Payload<"DATA">): void {
    if (Number(data.stream) !== 1)
      throw new ProtocolError(`DATA for stream ${data.stream} of a system call; it has 1`);
    this.answer.push(data.data, data.eof, true);
    this.forgetWhenDone();
  }

  exited(exit: Payload<"EXIT">): void {
    this.exit = exitOf(exit.how, exit.code, exit.timed_out);
    this.forgetWhenDone();
  }

  /** The agent has said everything about the call and freed its slot by itself. */
  private forgetWhenDone(): void {
    if (this.exit === undefined || !this.answer.ended || this.cancelled !== undefined) return;
    this.client.forgetProcess(this.handle);
    this.tidy();
  }

  capture(): Revival {
    const { exit, failure, result } = this;
    const answer = this.answer.state;
    return (client) => {
      this.client = client;
      this.exit = exit;
      this.failure = failure;
      this.result = result;
      this.answer.state = answer;
      this.cancelled = undefined;
    };
  }

  lost(reason: Error): void {
    this.failure ??= reason;
  }
}

/** [ret, [out…]] as in the SYSCALL reply. A guest that says something else breaks the protocol. */
const decoded = (answer: Uint8Array): SyscallResult => {
  const reader = new Reader(answer);
  if (reader.array() < 2) throw new ProtocolError("the result of a system call has 2 parts");
  const ret = reader.int();
  const out: Uint8Array[] = [];
  for (let left = reader.array(); left > 0; left--) out.push(reader.bytes());
  return { ret, out };
};

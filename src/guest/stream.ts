/**
 * Streams out of the guest with a reader of their own there: followed files and read descriptors. To the agent
 * each is a process whose standard output it is.
 */

import { GuestError, ProtocolError } from "../errors/errors.ts";
import type { GuestStream, TailStart } from "../lab/ports.ts";
import { describe, errnoName } from "../sys/libc.ts";
import { type Op, until } from "../sys/op.ts";
import type { Client, ProcessListener, Request, RequestOptions } from "./client.ts";
import { ACTOR_IO, type Payload } from "./messages.ts";
import type { Integer } from "./msgpack.ts";
import { Output, WINDOW_BYTES } from "./output.ts";
import type { Subject } from "./wording.ts";

type StartName = "TAIL_START" | "FD_STREAM_START";

class RemoteStream implements GuestStream, ProcessListener {
  readonly handle: number;
  private readonly bytes: Output;
  private closing: Request<"PROC_CLOSE"> | undefined;
  /** Why the reader stopped; told once the stream has ended. */
  private stopped: Error | undefined;

  constructor(
    private readonly client: Client,
    private readonly subject: Subject,
  ) {
    this.handle = client.newProcess(this);
    this.bytes = new Output((bytes) => client.credit(this.handle, 1, bytes));
  }

  /** What the request that starts the reader needs beside its payload. */
  options<M extends StartName>(actor: number): RequestOptions<M> {
    return {
      actor,
      subject: this.subject,
      // Given up while it started: nobody has the stream, so it is ended here.
      late: () => this.release(),
      done: (error) => error && this.client.forgetProcess(this.handle),
    };
  }

  get pending(): number {
    return this.bytes.pending;
  }

  get ended(): boolean {
    return this.bytes.ended;
  }

  get failure(): Error | undefined {
    return this.bytes.failure;
  }

  take(limit: number): Uint8Array | undefined {
    return this.bytes.take(limit);
  }

  *close(): Op<void> {
    const request = this.release();
    // Not `request.wait()`: an interruption must not take the order to end the reader back.
    yield* until(() => request.settled);
    if (this.client.ended === undefined) request.take();
  }

  private release(): Request<"PROC_CLOSE"> {
    this.bytes.drop();
    this.closing ??= this.client.begin(
      "PROC_CLOSE",
      { process: this.handle, grace_ms: 0 },
      {
        actor: ACTOR_IO,
        subject: this.subject,
        done: () => {
          this.client.forgetProcess(this.handle);
          this.bytes.end();
          this.bytes.drop();
        },
      },
    );
    return this.closing;
  }

  output(data: Payload<"DATA">): void {
    if (Number(data.stream) !== 1)
      throw new ProtocolError(`DATA for stream ${data.stream} of a reader; it has 1`);
    this.bytes.push(data.data, data.eof, false);
    if (this.closing !== undefined) this.bytes.drop();
    else if (data.eof) this.bytes.failure = this.stopped;
  }

  exited(exit: Payload<"EXIT">): void {
    const code = Number(exit.code);
    const exited = Number(exit.how) === 0;
    if (this.closing !== undefined || (exited && code === 0)) return;
    // A reader's exit status is the errno that stopped it.
    const why = exited ? `${describe(code)} (${errnoName(code)})` : `its reader was killed by signal ${code}`;
    this.stopped = new GuestError(`${this.subject.call}: ${why}`, exited ? code : 0);
    if (this.bytes.ended) this.bytes.failure = this.stopped;
  }

  lost(reason: Error): void {
    this.bytes.end(reason);
  }
}

/** Follows a file by name. GuestError when it cannot be opened. */
export function* tailFile(
  client: Client,
  actor: number,
  path: Uint8Array,
  start: TailStart,
): Op<GuestStream> {
  const stream = new RemoteStream(client, { call: "tail_file", object: path });
  const tail = { process: stream.handle, path, fd: -1, ...wireStart(start), window: WINDOW_BYTES };
  yield* client.call("TAIL_START", tail, stream.options(actor));
  return stream;
}

const wireStart = (start: TailStart): { start: Integer; from_end: boolean } => {
  if (start === "end") return { start: 0, from_end: true };
  if ("offset" in start) return { start: start.offset, from_end: false };
  const distance = -BigInt(start.fromEnd);
  return distance === 0n ? { start: 0, from_end: true } : { start: distance, from_end: false };
};

/** Follows an open file of the task from its cursor; by name too when `path` is not empty. */
export function* tailDescriptor(
  client: Client,
  actor: number,
  fd: Integer,
  path: Uint8Array,
): Op<GuestStream> {
  const stream = new RemoteStream(client, { call: "tail_stream", object: `descriptor ${fd}` });
  const tail = { process: stream.handle, path, fd, start: 0, from_end: false, window: WINDOW_BYTES };
  yield* client.call("TAIL_START", tail, stream.options(actor));
  return stream;
}

/** Reads a descriptor of the task until its end. */
export function* streamDescriptor(client: Client, actor: number, fd: Integer): Op<GuestStream> {
  const stream = new RemoteStream(client, { call: "fd_stream", object: `descriptor ${fd}` });
  const start = { process: stream.handle, fd, window: WINDOW_BYTES };
  yield* client.call("FD_STREAM_START", start, stream.options(actor));
  return stream;
}

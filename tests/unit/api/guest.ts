/** Stand-ins for what a test holds of a guest: processes, files, streams, workers that do what a test says. */

import type {
  Actor,
  CommandResult,
  ExitStatus,
  GuestProcess,
  GuestStream,
  PendingCall,
  SyscallResult,
  WorkerActor,
} from "../../../src/lab/ports.ts";
import { type Op, until } from "../../../src/sys/op.ts";
import { at } from "../lab/fakes.ts";

const encoder = new TextEncoder();

export class FakeStream implements GuestStream {
  readonly handle = 1;
  ended = false;
  closed = 0;
  failure: Error | undefined;
  private readonly chunks: Uint8Array[] = [];

  say(...texts: string[]): this {
    for (const text of texts) this.chunks.push(encoder.encode(text));
    return this;
  }

  get pending(): number {
    return this.chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0);
  }

  take(limit: number): Uint8Array | undefined {
    const chunk = this.chunks.shift();
    if (chunk === undefined || chunk.byteLength <= limit) return chunk;
    this.chunks.unshift(chunk.subarray(limit));
    return chunk.subarray(0, limit);
  }

  close(): Op<void> {
    return at(() => {
      this.closed++;
      this.ended = true;
    });
  }
}

export class FakeProcess implements GuestProcess {
  readonly pid = 77;
  exit: ExitStatus | undefined;
  readonly calls: string[] = [];
  readonly outputs = [new FakeStream(), new FakeStream()] as const;

  constructor(readonly handle = 7) {}

  /** Ends it as a signal or exit(2) would. */
  end(how: "exited" | "signalled", code: number): void {
    this.exit ??= { how, code, timedOut: false };
    for (const output of this.outputs) output.ended = true;
  }

  *wait(deadline: number): Op<CommandResult | undefined> {
    yield* until(() => this.exit !== undefined, deadline);
    return this.exit && { ...this.exit, stdout: encoder.encode("out"), stderr: encoder.encode("") };
  }
  collected(): Uint8Array {
    return encoder.encode("out");
  }
  stream(stream: 1 | 2): FakeStream {
    return this.outputs[stream - 1] as FakeStream;
  }
  signal(signal: number, group: boolean): Op<void> {
    return at(() => {
      this.calls.push(`signal ${signal}${group ? " group" : ""}`);
      if (signal === 9 || signal === 15) this.end("signalled", signal);
    });
  }
  stdinWrite(data: Uint8Array): Op<void> {
    return at(() => void this.calls.push(`write ${data.byteLength}`));
  }
  stdinClose(): Op<void> {
    return at(() => void this.calls.push("close_stdin"));
  }
  status(): Op<{ running: boolean; exit: ExitStatus | undefined }> {
    return at(() => ({ running: this.exit === undefined, exit: this.exit }));
  }
  close(graceMs: number): Op<void> {
    return at(() => {
      this.calls.push(`close ${graceMs}`);
      this.end("signalled", 15);
    });
  }
}

export class FakeCall implements PendingCall {
  readonly handle = 9;
  readonly pid = 99;
  result: SyscallResult | undefined;
  cancelled = 0;

  get done(): boolean {
    return this.result !== undefined;
  }
  *wait(deadline: number): Op<SyscallResult | undefined> {
    yield* until(() => this.result !== undefined, deadline);
    return this.result;
  }
  cancel(): Op<void> {
    return at(() => void this.cancelled++);
  }
}

/** An actor on which everything is possible; the newest of each kind can be looked at. */
export interface Answering extends Partial<Actor> {
  readonly processes: FakeProcess[];
  readonly streams: FakeStream[];
  readonly pendings: FakeCall[];
  readonly notes: string[];
  /** What `read` gives, oldest first; then the end. */
  readonly content: Uint8Array[];
}

export const answering = (): Answering => {
  const processes: FakeProcess[] = [];
  const streams: FakeStream[] = [];
  const pendings: FakeCall[] = [];
  const notes: string[] = [];
  const content: Uint8Array[] = [];
  let workers = 1;
  const stream = (note: string): Op<FakeStream> =>
    at(() => {
      notes.push(note);
      const made = new FakeStream();
      streams.push(made);
      return made;
    });
  const actor: Answering = {
    processes,
    streams,
    pendings,
    notes,
    content,
    start: () =>
      at(() => {
        const process = new FakeProcess(processes.length + 1);
        processes.push(process);
        return process;
      }),
    open: (_path, mode) =>
      at(() => {
        notes.push(`open ${mode}`);
        return 5;
      }),
    read: (fd, length) =>
      at(() => {
        notes.push(`read ${fd} ${length}`);
        return content.shift() ?? new Uint8Array(0);
      }),
    write: (_fd, data) => at(() => data.byteLength),
    seek: (_fd, offset) => at(() => offset),
    closeFd: (fd) => at(() => void notes.push(`closeFd ${fd}`)),
    tail: (_path, start) => stream(`tail ${JSON.stringify(start)}`),
    tailFd: (fd) => stream(`tailFd ${fd}`),
    fdStream: (fd) => stream(`fdStream ${fd}`),
    syscall: ({ bufs }) => at(() => ({ ret: 0, out: bufs })),
    syscallAsync: () =>
      at(() => {
        const call = new FakeCall();
        pendings.push(call);
        return call;
      }),
    readMem: (_address, length) => at(() => new Uint8Array(length)),
    spawnWorker: ({ thread }) =>
      at(() => {
        const worker = {
          ...actor,
          id: ++workers,
          pid: 100 + workers,
          tid: 100 + workers,
          thread,
          gone: undefined as Error | undefined,
          end: () =>
            at(() => {
              notes.push(`end ${worker.id}`);
              worker.gone = new Error("ended");
            }),
        };
        return worker as unknown as WorkerActor;
      }),
  };
  return actor;
};

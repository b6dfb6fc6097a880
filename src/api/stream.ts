/**
 * Streams as Lua sees them: bytes that come by themselves, from a file, a descriptor, a process or a console. One
 * surface for all of them. What was received and not asked for stays in front of what comes next.
 */

import { ApiError, GuestError, TimeoutError, VmDeadError } from "../errors/errors.ts";
import type { OutputStream } from "../lab/ports.ts";
import type { Registry } from "../lab/registry.ts";
import type { Args } from "../lua/args.ts";
import { quote } from "../lua/describe.ts";
import { defineClass, type Method, method } from "../lua/native.ts";
import { after, called, type Deadline, monotonic, type Op, until } from "../sys/op.ts";
import { durationMs } from "./arguments.ts";
import type { GuestHandle } from "./handles.ts";
import { Held } from "./held.ts";
import { Inbox } from "./inbox.ts";

const WAIT_MS = 10_000;
const DRAIN_MS = 500;
/** How long nothing may come before a drain is over. */
const QUIET_MS = 100;
const CHUNK_BYTES = 64 * 1024;
/** What a search may hold of a stream in which the pattern never comes. */
const SEARCH_BYTES = 64 * 1024 * 1024;
const SHOWN_BYTES = 400;

/** Where the bytes come from, and how it is ended. */
export interface Source extends OutputStream {
  close(): Op<void>;
}

/** What a stream is, for diagnostics. */
export interface Origin {
  /** `tail_file`, `fd_stream`, `file_tail_stream`, `proc_stdout_stream`, `proc_stderr_stream`, `console_read`. */
  readonly kind: string;
  /** What kind of thing it reads: a path, "handle=7", "fd=5". */
  readonly detail: string;
}

export abstract class Stream extends Held {
  /** The line of the test that made it. */
  readonly site: { readonly file: string; readonly line: number } | undefined;
  private readonly inbox = new Inbox();

  constructor(
    guest: GuestHandle,
    registry: Registry,
    private readonly source: Source,
    readonly origin: Origin,
    /** What a closed one is called in errors. */
    private readonly noun: "stream" | "console",
  ) {
    super(guest, "stream", registry);
    this.site = guest.api.callSite();
  }

  get label(): string {
    return `${this.origin.kind}(${this.origin.detail}) of ${this.guest.label}`;
  }

  get ended(): boolean {
    return this.closed || (this.inbox.bytes === 0 && this.source.ended && this.source.pending === 0);
  }

  /** The oldest chunk; undefined at the end, when closed, or when none came in time. */
  *next(call: string, deadline: Deadline): Op<Uint8Array | undefined> {
    if (this.closed) return undefined;
    const chunk = this.inbox.shift() ?? this.source.take(CHUNK_BYTES);
    if (chunk !== undefined) return chunk;
    yield* this.arrival(call, deadline);
    return this.closed ? undefined : this.source.take(CHUNK_BYTES);
  }

  /** Everything up to the end of the first match. What does not match stays. */
  *readUntil(pattern: Uint8Array, ms: number): Op<Uint8Array> {
    const deadline = after(Math.max(1, ms));
    const search = this.inbox.search(pattern);
    for (;;) {
      if (this.closed) throw new ApiError(`${this.noun} closed`);
      const end = search.found();
      if (end !== undefined) return this.inbox.take(end);
      if (this.inbox.bytes > SEARCH_BYTES)
        throw new GuestError(`read_until: ${this.inbox.bytes} bytes came without ${quote(pattern)}`, 0);
      const chunk = this.source.take(CHUNK_BYTES);
      if (chunk !== undefined) this.inbox.add(chunk);
      else if (this.source.ended) throw new GuestError("stream EOF", 0, this.received());
      else if (!(yield* this.arrival("read_until", deadline)) && monotonic() >= deadline)
        throw new TimeoutError(
          `read_until timed out waiting for \`${new TextDecoder().decode(pattern)}\``,
          this.received(),
        );
    }
  }

  /** All that comes until the time is over, the stream ends, or nothing has come for a moment. */
  *drain(ms: number): Op<Uint8Array[]> {
    const deadline = after(Math.max(1, ms));
    const chunks: Uint8Array[] = [];
    for (;;) {
      const quiet = chunks.length === 0 ? deadline : Math.min(deadline, after(QUIET_MS));
      const chunk = yield* this.next("drain", quiet);
      if (chunk === undefined) return chunks;
      chunks.push(chunk);
      if (monotonic() >= deadline && this.source.pending === 0) return chunks;
    }
  }

  protected *release(): Op<void> {
    yield* this.source.close();
  }

  override forget(): void {
    super.forget();
    this.inbox.clear();
  }

  /** Waits for bytes. False: none came in time, or the stream has ended. Raises when it ended with its VM. */
  private *arrival(call: string, deadline: Deadline): Op<boolean> {
    const { source } = this;
    const arrived = until(() => this.closed || source.pending > 0 || source.ended, deadline);
    yield* called(arrived, call, this.label);
    if (source.pending > 0) return true;
    const { failure } = source;
    const { vm } = this.guest;
    if (failure !== undefined && this.closed === false) {
      // A machine that died under a wait tells why; one that was shut down has only ended.
      if (failure instanceof VmDeadError && vm.state === "dead" && !this.lost)
        yield* vm.call(call, function* () {
          yield* until(() => true);
          throw failure;
        });
      if (!(failure instanceof VmDeadError)) throw failure;
    }
    return false;
  }

  private received(): { hint?: string } {
    if (this.inbox.bytes === 0) return { hint: "Nothing came meanwhile." };
    return {
      hint: `Received and not matched, ${this.inbox.bytes} bytes, the last: ${quote(this.inbox.last(SHOWN_BYTES), SHOWN_BYTES)}`,
    };
  }
}

/** A file, a descriptor or the output of a process. */
export class Tail extends Stream {
  constructor(guest: GuestHandle, registry: Registry, source: Source, origin: Origin) {
    super(guest, registry, source, origin, "stream");
  }
}

export class ConsoleStream extends Stream {
  constructor(guest: GuestHandle, registry: Registry, source: Source) {
    super(guest, registry, source, { kind: "console_read", detail: guest.vm.name }, "console");
  }
}

const timeout = (args: Args, i: number, call: string, standard: number): number =>
  args.absent(i) ? standard : durationMs(args.any(i), `${call}: timeout`);

const streamMethod = method<Stream>;

export const STREAM_METHODS: Readonly<Record<string, Method<Stream>>> = {
  next: streamMethod(
    "(timeout?: duration): string|nil",
    "The next chunk as it came; nil when none comes in time (default 10 s), at the end and when the stream is closed: `eof()` tells these apart.",
    function* (self, args) {
      const ms = timeout(args, 1, "next", WAIT_MS);
      return (yield* self.next("next", after(Math.max(1, ms)))) ?? null;
    },
  ),
  read_until: streamMethod(
    "(pattern: string, timeout?: duration): string",
    "Everything up to and including the byte string. Raises when it does not come in time (default 10 s) or the stream ends; what was received then stays for the next call.",
    function* (self, args) {
      const pattern = args.bytes(1, "pattern");
      return yield* self.readUntil(pattern, timeout(args, 2, "read_until", WAIT_MS));
    },
  ),
  expect: streamMethod(
    "(pattern: string, timeout?: duration)",
    "As read_until, without the result.",
    function* (self, args) {
      const pattern = args.bytes(1, "pattern");
      yield* self.readUntil(pattern, timeout(args, 2, "expect", WAIT_MS));
    },
  ),
  drain: streamMethod(
    "(timeout?: duration): string[]",
    "The chunks that come until the time is over (default 0.5 s), the stream ends, or nothing has come for 0.1 s after the first.",
    function* (self, args) {
      return yield* self.drain(timeout(args, 1, "drain", DRAIN_MS));
    },
  ),
  close: streamMethod("()", "Ends the stream and drops what is pending. Repeatable.", function* (self) {
    yield* self.close();
  }),
  eof: streamMethod(
    "(): boolean",
    "True when nothing more can come and nothing is pending.",
    (self) => self.ended,
  ),
  creation_site: streamMethod(
    "(): {file: string, line: integer}|nil",
    "The line of the test file that made the stream.",
    (self) => self.site ?? null,
  ),
};

const FIELDS = {
  kind: {
    type: "string",
    doc: "What made it: `tail_file`, `fd_stream`, `file_tail_stream`, `proc_stdout_stream`, `proc_stderr_stream` or `console_read`.",
  },
  detail: { type: "string", doc: "What it reads." },
} as const;

const field = (self: Stream, key: string): unknown =>
  key === "kind" ? self.origin.kind : key === "detail" ? self.origin.detail : undefined;

for (const [name, of, doc] of [
  ["Tail", Tail, "Bytes of a file, a descriptor or a process as they come. Patterns are byte strings."],
  ["ConsoleStream", ConsoleStream, "What a console says from now on, with the methods of Tail."],
] as const)
  defineClass<Stream>({
    name,
    of: of as unknown as abstract new () => Stream,
    doc,
    methods: STREAM_METHODS,
    get: field,
    fields: FIELDS,
    text: (self) => `${name}: ${self.label}`,
    close: (self) => self.close(),
  });

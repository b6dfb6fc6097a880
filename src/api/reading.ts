/**
 * Bytes that come by themselves and how a test asks for them, whatever they come from: a file, a process, a console,
 * a network. What was received and not asked for stays in front of what comes next. Several tasks may ask at once.
 */

import { ApiError, GuestError, TimeoutError } from "../errors/errors.ts";
import type { OutputStream } from "../lab/ports.ts";
import type { Args } from "../lua/args.ts";
import { quote } from "../lua/describe.ts";
import { type Method, method } from "../lua/native.ts";
import { after, called, type Deadline, monotonic, type Op, until } from "../sys/op.ts";
import { durationMs } from "./arguments.ts";
import { Inbox } from "./inbox.ts";

const WAIT_MS = 10_000;
const DRAIN_MS = 500;
/** How long nothing may come before a drain is over. */
const QUIET_MS = 100;
const CHUNK_BYTES = 64 * 1024;
/** What a search may hold of a stream in which the pattern never comes. */
const SEARCH_BYTES = 64 * 1024 * 1024;
const SHOWN_BYTES = 400;

/** Whose bytes they are. */
export interface Reader {
  /** For messages: what it reads, and of whom. */
  readonly label: string;
  /** What a closed one is called in errors. */
  readonly noun: "stream" | "console" | "capture";
  readonly closed: boolean;
  /** The source has ended, and not of itself: raises where that is worth an error. */
  failed?(call: string, failure: Error): Op<void>;
}

export class Reading {
  private readonly inbox = new Inbox();

  constructor(
    private readonly source: OutputStream,
    private readonly reader: Reader,
  ) {}

  get ended(): boolean {
    const { source } = this;
    return this.reader.closed || (this.inbox.bytes === 0 && source.ended && source.pending === 0);
  }

  /** The oldest chunk; undefined at the end, when closed, or when none came in time. */
  *next(call: string, deadline: Deadline): Op<Uint8Array | undefined> {
    while (!this.reader.closed) {
      const chunk = this.oldest();
      if (chunk !== undefined) return chunk;
      if (yield* this.arrival(call, deadline)) continue;
      yield* this.story(call);
      return undefined;
    }
    return undefined;
  }

  /** Everything up to the end of the first match. What does not match stays. */
  *readUntil(pattern: Uint8Array, ms: number): Op<Uint8Array> {
    const deadline = after(Math.max(1, ms));
    const search = this.inbox.search(pattern);
    for (;;) {
      if (this.reader.closed) throw new ApiError(`${this.reader.noun} closed`);
      const end = search.found();
      if (end !== undefined) return this.inbox.take(end);
      if (this.inbox.bytes > SEARCH_BYTES)
        throw new GuestError(`read_until: ${this.inbox.bytes} bytes came without ${quote(pattern)}`, 0);
      const chunk = this.source.take(CHUNK_BYTES);
      if (chunk !== undefined) this.inbox.add(chunk);
      else if (this.source.ended) {
        yield* this.story("read_until");
        throw new GuestError("stream EOF", 0, this.received());
      } else if (!(yield* this.arrival("read_until", deadline)) && monotonic() >= deadline)
        throw new TimeoutError(
          `read_until timed out waiting for \`${new TextDecoder().decode(pattern)}\``,
          this.received(),
        );
    }
  }

  /** All that comes until the time is over, the stream ends, or nothing has come for a moment. */
  *drain(ms: number): Op<Uint8Array[]> {
    const deadline = after(Math.max(1, ms));
    const first = yield* this.next("drain", deadline);
    if (first === undefined) return [];
    const chunks = [first];
    while (!this.reader.closed && (monotonic() < deadline || this.source.pending > 0)) {
      const chunk = this.oldest();
      if (chunk !== undefined) chunks.push(chunk);
      // What has come is not lost with a source that fails meanwhile: the next call tells of that.
      else if (!(yield* this.arrival("drain", Math.min(deadline, after(QUIET_MS))))) break;
    }
    return chunks;
  }

  /** Drops what was received and not asked for. */
  clear(): void {
    this.inbox.clear();
  }

  private oldest(): Uint8Array | undefined {
    return this.inbox.shift() ?? this.source.take(CHUNK_BYTES);
  }

  /** Waits for bytes, also such as another task takes out of the source. False: none in time, or there are no more. */
  private *arrival(call: string, deadline: Deadline): Op<boolean> {
    const { source, reader, inbox } = this;
    const seen = inbox.added;
    const come = (): boolean => source.pending > 0 || inbox.added !== seen;
    yield* called(
      until(() => reader.closed || come() || source.ended, deadline),
      call,
      reader.label,
    );
    return come();
  }

  /** Raises when the source has ended of something that is worth an error. */
  private *story(call: string): Op<void> {
    const { source, reader } = this;
    if (source.failure !== undefined && !reader.closed && reader.failed !== undefined)
      yield* reader.failed(call, source.failure);
  }

  private received(): { hint?: string } {
    if (this.inbox.bytes === 0) return { hint: "Nothing came meanwhile." };
    return {
      hint: `Received and not matched, ${this.inbox.bytes} bytes, the last: ${quote(this.inbox.last(SHOWN_BYTES), SHOWN_BYTES)}`,
    };
  }
}

/** What Lua sees of it. */
export interface Readable {
  readonly reading: Reading;
  /** The line of the test that made it. */
  readonly site: { readonly file: string; readonly line: number } | undefined;
  close(): Op<void>;
}

const timeout = (args: Args, i: number, call: string, standard: number): number =>
  args.absent(i) ? standard : durationMs(args.any(i), `${call}: timeout`);

const readingMethod = method<Readable>;

export const READING_METHODS: Readonly<Record<string, Method<Readable>>> = {
  next: readingMethod(
    "(timeout?: duration): string|nil",
    "The next chunk as it came; nil when none comes in time (default 10 s), at the end and when the stream is closed: `eof()` tells these apart.",
    function* ({ reading }, args) {
      const ms = timeout(args, 1, "next", WAIT_MS);
      return (yield* reading.next("next", after(Math.max(1, ms)))) ?? null;
    },
  ),
  read_until: readingMethod(
    "(pattern: string, timeout?: duration): string",
    "Everything up to and including the byte string. Raises when it does not come in time (default 10 s) or the stream ends; what was received then stays for the next call.",
    function* ({ reading }, args) {
      const pattern = args.bytes(1, "pattern");
      return yield* reading.readUntil(pattern, timeout(args, 2, "read_until", WAIT_MS));
    },
  ),
  expect: readingMethod(
    "(pattern: string, timeout?: duration)",
    "As read_until, without the result.",
    function* ({ reading }, args) {
      const pattern = args.bytes(1, "pattern");
      yield* reading.readUntil(pattern, timeout(args, 2, "expect", WAIT_MS));
    },
  ),
  drain: readingMethod(
    "(timeout?: duration): string[]",
    "The chunks that come until the time is over (default 0.5 s), the stream ends, or nothing has come for 0.1 s after the first.",
    function* ({ reading }, args) {
      return yield* reading.drain(timeout(args, 1, "drain", DRAIN_MS));
    },
  ),
  close: readingMethod("()", "Ends the stream and drops what is pending. Repeatable.", function* (self) {
    yield* self.close();
  }),
  eof: readingMethod(
    "(): boolean",
    "True when nothing more can come and nothing is pending.",
    ({ reading }) => reading.ended,
  ),
  creation_site: readingMethod(
    "(): {file: string, line: integer}|nil",
    "The line of the test file that made the stream.",
    ({ site }) => site ?? null,
  ),
};

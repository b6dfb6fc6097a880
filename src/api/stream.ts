/** The streams of a guest as Lua sees them: bytes from a file, a descriptor, a process or a console. */

import { VmDeadError } from "../errors/errors.ts";
import type { OutputStream } from "../lab/ports.ts";
import type { Registry } from "../lab/registry.ts";
import { defineClass } from "../lua/native.ts";
import { own } from "../lua/own.ts";
import { type Op, until } from "../sys/op.ts";
import type { GuestHandle } from "./handles.ts";
import { Held } from "./held.ts";
import { READING_METHODS, type Readable, type Reader, Reading } from "./reading.ts";

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

export abstract class Stream extends Held implements Readable, Reader {
  readonly site: Readable["site"];
  readonly reading: Reading;
  /** The test that made it. */
  readonly test: string | undefined;

  constructor(
    guest: GuestHandle,
    registry: Registry,
    private readonly source: Source,
    readonly origin: Origin,
    readonly noun: "stream" | "console",
  ) {
    super(guest, "stream", registry);
    this.site = guest.api.callSite();
    this.test = guest.api.scopes.current.test;
    this.reading = new Reading(source, this);
  }

  get label(): string {
    return `${this.origin.kind}(${this.origin.detail}) of ${this.guest.label}`;
  }

  get ended(): boolean {
    return this.reading.ended;
  }

  /** A machine that died under a wait tells why; one that was shut down or has begun anew has only ended. */
  *failed(call: string, failure: Error): Op<void> {
    const { vm } = this.guest;
    if (this.lost) return;
    if (!(failure instanceof VmDeadError)) throw failure;
    if (vm.state === "dead")
      yield* vm.call(call, function* () {
        yield* until(() => true);
        throw failure;
      });
  }

  protected *release(): Op<void> {
    yield* this.source.close();
  }

  override forget(): void {
    super.forget();
    this.reading.clear();
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

const FIELDS: Readonly<Record<string, { type: string; doc: string; read: (of: Stream) => unknown }>> = {
  kind: {
    type: "string",
    doc: "What made it: `tail_file`, `fd_stream`, `file_tail_stream`, `proc_stdout_stream`, `proc_stderr_stream` or `console_read`.",
    read: ({ origin }) => origin.kind,
  },
  detail: { type: "string", doc: "What it reads.", read: ({ origin }) => origin.detail },
  test_name: {
    type: "string|nil",
    doc: "The test that made it; nil at the top level of a file.",
    read: ({ test }) => test,
  },
};

for (const [name, of, doc] of [
  ["Tail", Tail, "Bytes of a file, a descriptor or a process as they come. Patterns are byte strings."],
  ["ConsoleStream", ConsoleStream, "What a console says from now on, with the methods of Tail."],
] as const)
  defineClass<Stream>({
    name,
    of: of as unknown as abstract new () => Stream,
    doc,
    methods: READING_METHODS,
    get: (self, key) => own(FIELDS, key)?.read(self),
    fields: FIELDS,
    text: (self) => `${name}: ${self.label}`,
    close: (self) => self.close(),
  });

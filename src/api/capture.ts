/** Recorded traffic as Lua sees it: bytes of a classic pcap file as they come. */

import { ApiError } from "../errors/errors.ts";
import type { Attachment } from "../lab/attachment.ts";
import type { Bridge } from "../lab/bridge.ts";
import type { Registry, Resource } from "../lab/registry.ts";
import type { Vm } from "../lab/vm.ts";
import { defineClass, method } from "../lua/native.ts";
import type { ByteSource } from "../net/backend.ts";
import { EAGAIN, readSome, setNonBlocking } from "../sys/libc.ts";
import { after, type Op, until } from "../sys/op.ts";
import { POLLIN, type Reactor, type Watch } from "../sys/reactor.ts";
import { durationMs } from "./arguments.ts";
import type { Api } from "./context.ts";

const CHUNK_BYTES = 64 * 1024;
/** What may wait to be taken; beyond it the source is not read, and drops what its own bound does not hold. */
const HELD_BYTES = 64 * 1024 * 1024;
const WAIT_MS = 10_000;
/** How long nothing may come before everything under way is taken to have arrived. */
const QUIET_MS = 100;
const DRAIN_MS = 500;

export class Capture implements Resource {
  readonly kind = "stream";
  readonly site: { readonly file: string; readonly line: number } | undefined;
  /** Everything that has come, for `bytes`; chunks before `taken` have been given out by `next`. */
  private readonly chunks: Uint8Array[] = [];
  private held = 0;
  private taken = 0;
  private over = false;
  private open = true;
  private readonly watch: Watch;

  constructor(
    api: Api,
    readonly bridge: Bridge,
    readonly attachment: Attachment | undefined,
    private readonly source: ByteSource,
    private readonly registry: Registry,
    reactor: Reactor,
  ) {
    this.site = api.callSite();
    setNonBlocking(source.fd);
    this.watch = reactor.watch(source.fd, POLLIN, () => this.read());
    registry.add(this);
  }

  get label(): string {
    const what = this.attachment === undefined ? "" : ` of ${this.attachment.vm.label}`;
    return `capture${what} on ${this.bridge.label}`;
  }

  /** Whether it records what this VM sends and receives. */
  covers(vm: Vm): boolean {
    return this.attachment === undefined
      ? this.bridge.attachments().some((attachment) => attachment.vm === vm)
      : this.attachment.vm === vm;
  }

  get ended(): boolean {
    return !this.open || (this.over && this.taken === this.chunks.length);
  }

  /** The oldest chunk that was not taken; undefined at the end or when none comes in time. */
  *next(ms: number): Op<Uint8Array | undefined> {
    yield* until(() => this.taken < this.chunks.length || this.over || !this.open, after(Math.max(1, ms)));
    return this.chunks[this.taken] === undefined ? undefined : this.chunks[this.taken++];
  }

  /** Waits until nothing has come for a moment, at most `ms`. */
  *settle(ms: number): Op<void> {
    const deadline = after(Math.max(1, ms));
    for (let seen = -1; seen !== this.held && !this.over && this.open; ) {
      seen = this.held;
      yield* until(() => this.held !== seen || this.over, Math.min(deadline, after(QUIET_MS)));
    }
  }

  /** Everything recorded so far: a whole file, its header included. */
  all(): Uint8Array {
    return Buffer.concat(this.chunks);
  }

  *close(): Op<void> {
    if (!this.open) return;
    this.open = false;
    this.watch.close();
    this.registry.remove(this);
    yield* this.source.close();
  }

  private read(): void {
    const chunk = new Uint8Array(CHUNK_BYTES);
    while (this.open) {
      if (this.held >= HELD_BYTES) {
        this.watch.events = 0;
        return;
      }
      const n = readSome(this.source.fd, chunk);
      if (n === -EAGAIN) return;
      if (n <= 0) {
        this.over = true;
        this.watch.close();
        return;
      }
      this.chunks.push(chunk.slice(0, n));
      this.held += n;
    }
  }
}

export const startCapture = function* (
  api: Api,
  bridge: Bridge,
  attachment: Attachment | undefined,
): Op<Capture> {
  const { registry } = api.scopes.current;
  const source = yield* bridge.capture(attachment);
  const capture = new Capture(api, bridge, attachment, source, registry, api.state.reactor);
  return capture;
};

defineClass<Capture>({
  name: "Capture",
  of: Capture as never as abstract new () => Capture,
  doc: "Traffic of a bridge or of one interface as a classic pcap file, from the call on. While it is open its VMs cannot be snapshotted.",
  methods: {
    next: method(
      "(timeout?: duration): string|nil",
      "The next piece of the file; nil when none comes in time (default 10 s), at the end and when closed.",
      function* (self, args) {
        return (
          (yield* self.next(args.absent(1) ? WAIT_MS : durationMs(args.any(1), "next: timeout"))) ?? null
        );
      },
    ),
    bytes: method(
      "(timeout?: duration): string",
      "The whole file so far, what `next` gave included. Waits until nothing has come for 0.1 s, at most `timeout` (default 0.5 s). Also after `close`.",
      function* (self, args) {
        yield* self.settle(args.absent(1) ? DRAIN_MS : durationMs(args.any(1), "bytes: timeout"));
        return self.all();
      },
    ),
    eof: method("(): boolean", "True when nothing more can come and all was taken.", (self) => self.ended),
    close: method("()", "Ends the recording; `bytes` still has what came. Repeatable.", function* (self) {
      yield* self.close();
    }),
    bridge: method("(): string", "Name of the bridge.", (self) => self.bridge.name),
    vm_name: method(
      "(): string|nil",
      "Name of the VM whose interface is recorded; nil for a whole bridge.",
      (self) => self.attachment?.vm.name ?? null,
    ),
    creation_site: method(
      "(): {file: string, line: integer}|nil",
      "The line of the test file that made it.",
      (self) => self.site ?? null,
    ),
  },
  text: (self) => self.label,
  close: (self) => self.close(),
});

/** The error of a call that needs a port which is not there. */
export const noPort = (call: string, vm: string, bridge: string): ApiError =>
  new ApiError(
    `${call}: vm \`${vm}\` has no TAP on bridge \`${bridge}\` (not booted?). Call lab:boot() / vm:boot() first.`,
  );

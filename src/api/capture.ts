/** Recorded traffic as Lua sees it: bytes of a classic pcap file as they come. */

import { ApiError } from "../errors/errors.ts";
import type { Attachment } from "../lab/attachment.ts";
import type { Bridge } from "../lab/bridge.ts";
import type { OutputStream } from "../lab/ports.ts";
import type { Registry, Resource } from "../lab/registry.ts";
import type { Vm } from "../lab/vm.ts";
import { defineClass, method } from "../lua/native.ts";
import type { ByteSource } from "../net/backend.ts";
import { EAGAIN, readSome, setNonBlocking } from "../sys/libc.ts";
import { after, monotonic, type Op, until } from "../sys/op.ts";
import { POLLIN, type Reactor, type Watch } from "../sys/reactor.ts";
import { durationMs } from "./arguments.ts";
import type { Api } from "./context.ts";
import { READING_METHODS, type Readable, type Reader, Reading } from "./reading.ts";

const CHUNK_BYTES = 64 * 1024;
/** What may wait to be taken; beyond it the source is not read, and drops what its own bound does not hold. */
const HELD_BYTES = 64 * 1024 * 1024;
/** How long nothing may come before everything under way is taken to have arrived. */
const QUIET_MS = 100;
/** How long that is waited for while there is traffic, and while a busy host does not let the recorder write. */
const SETTLE_MS = 500;
const PATIENCE_MS = 10_000;

export class Capture implements Resource, Readable, Reader {
  readonly kind = "stream";
  readonly noun = "capture";
  readonly site: Readable["site"];
  readonly reading: Reading;
  /** Everything that has come, for `bytes`; chunks before `taken` have been read. */
  private readonly chunks: Uint8Array[] = [];
  private held = 0;
  private taken = 0;
  private unread = 0;
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
    this.reading = new Reading(this.unreadChunks(), this);
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

  get closed(): boolean {
    return !this.open;
  }

  /** Waits until nothing has come for a moment and nothing is left to be written, at most `ms`; undefined: as long as is sensible. */
  *settle(ms: number | undefined): Op<void> {
    const traffic = after(ms ?? SETTLE_MS);
    const end = after(Math.max(1, ms ?? PATIENCE_MS));
    while (!this.over && this.open && monotonic() < end) {
      const seen = this.held;
      yield* until(() => this.held !== seen || this.over, Math.min(end, after(QUIET_MS)));
      const came = this.held !== seen;
      const behind = this.source.behind();
      if ((!came && !behind) || (came && monotonic() >= traffic)) return;
    }
  }

  /** Everything recorded so far: a whole file, its header included. */
  all(): Uint8Array {
    return Buffer.concat(this.chunks);
  }

  *close(): Op<void> {
    if (!this.open) return;
    // What lies in the pipe has been recorded too.
    if (!this.over) this.read();
    this.open = false;
    this.reading.clear();
    this.watch.close();
    this.registry.remove(this);
    yield* this.source.close();
  }

  private read(): void {
    const chunk = new Uint8Array(CHUNK_BYTES);
    while (this.open) {
      if (this.held >= HELD_BYTES) {
        this.watch.close();
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
      this.unread += n;
    }
  }

  /** The chunks that were not read, as a stream. */
  private unreadChunks(): OutputStream {
    const capture = this;
    return {
      take() {
        const chunk = capture.chunks[capture.taken];
        if (chunk === undefined) return undefined;
        capture.taken++;
        capture.unread -= chunk.byteLength;
        return chunk;
      },
      get pending() {
        return capture.unread;
      },
      get ended() {
        return capture.over;
      },
      failure: undefined,
    };
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
    ...READING_METHODS,
    bytes: method(
      "(timeout?: duration): string",
      "The whole file so far, what was read included. Waits until nothing has come for 0.1 s, at most `timeout` (default: 0.5 s while there is traffic, longer only for a recorder that the host keeps from writing). Also after `close`.",
      function* (self, args) {
        yield* self.settle(args.absent(1) ? undefined : durationMs(args.any(1), "bytes: timeout"));
        return self.all();
      },
    ),
    close: method("()", "Ends the recording; `bytes` still has what came. Repeatable.", function* (self) {
      yield* self.close();
    }),
    bridge: method("(): string", "Name of the bridge.", (self) => self.bridge.name),
    vm_name: method(
      "(): string|nil",
      "Name of the VM whose interface is recorded; nil for a whole bridge.",
      (self) => self.attachment?.vm.name ?? null,
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

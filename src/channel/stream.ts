/**
 * The channel over a connected stream descriptor: what vsock, the serial port and the local agent share.
 */

import { ProtocolError, ProviumError, SysError } from "../errors/errors.ts";
import { closeFd, describe, errnoName, setNonBlocking } from "../sys/libc.ts";
import { NEVER, type Op, until } from "../sys/op.ts";
import { POLLIN, POLLOUT, type Reactor, type Watch } from "../sys/reactor.ts";
import type { Channel, ChannelListener, Resync, Transport } from "./channel.ts";
import { Incoming } from "./incoming.ts";
import { Outgoing } from "./outgoing.ts";

/** What each end of a channel's socket pair may send ahead. */
export const SEND_BUFFER_BYTES = 1024 * 1024;

/** The other side ended the channel, or the kernel did. */
export class ChannelClosedError extends ProviumError {}

export interface StreamOptions {
  readonly transport: Transport;
  /** The host begins each session on this stream with a resync. */
  readonly connectionless?: boolean;
}

export class StreamChannel implements Channel {
  readonly transport: Transport;
  readonly resync: ((resync: Resync) => void) | undefined;
  private readonly incoming = new Incoming((body) => this.listener?.frame(body));
  private readonly outgoing = new Outgoing();
  private watch: Watch | undefined;
  private listener: ChannelListener | undefined;
  private ended: Error | undefined;
  /** The kernel takes no more at the moment. */
  private refused = false;
  private readonly live = (): boolean => this.ended === undefined;

  /** Takes over `fd`: made non-blocking, watched, and closed with the channel. */
  constructor(
    private readonly reactor: Reactor,
    private readonly fd: number,
    options: StreamOptions,
  ) {
    this.transport = options.transport;
    setNonBlocking(fd);
    if (options.connectionless) {
      this.resync = (resync) => {
        if (this.ended !== undefined) return;
        this.incoming.expect(resync);
        this.outgoing.append(resync.magic);
        this.send(resync.body);
      };
    }
  }

  get queued(): number {
    return this.outgoing.size;
  }

  get received(): number {
    return this.incoming.total;
  }

  send(...body: Uint8Array[]): void {
    if (this.ended !== undefined) return;
    this.outgoing.push(body);
    // While the kernel has refused older bytes a try would only cost a call.
    if (!this.refused) this.flush();
  }

  queue(...body: Uint8Array[]): void {
    if (this.ended === undefined) this.outgoing.push(body);
  }

  *drained(bytes: number): Op<void> {
    if (this.outgoing.size > bytes)
      yield* until(() => this.outgoing.size <= bytes || this.ended !== undefined, NEVER);
    if (this.ended !== undefined) throw this.ended;
  }

  listen(listener: ChannelListener): void {
    this.listener = listener;
    if (this.ended !== undefined) listener.closed(this.ended);
    else if (this.watch === undefined) {
      // Only now is anything read: until somebody listens the kernel keeps it, and the peer is held back.
      this.watch = this.reactor.watch(this.fd, this.wanted(), (events) => this.serve(events));
    }
  }

  recycle(view: Uint8Array): void {
    this.incoming.recycle(view);
  }

  close(): void {
    this.listener = undefined;
    this.end(new ChannelClosedError("the channel was closed by the host"));
  }

  private serve(events: number): void {
    // A hang-up without data ends in a read of nothing, so both come the same way.
    if ((events & ~POLLOUT) !== 0) this.receive();
    if (this.ended === undefined && (events & POLLOUT) !== 0) this.flush();
  }

  private receive(): void {
    try {
      const result = this.incoming.pull(this.fd, this.live);
      if (result === "end") this.end(new ChannelClosedError("the agent closed the channel"));
      else if (result !== "more") this.end(broken("read", -result));
    } catch (error) {
      this.end(error instanceof Error ? error : new ProtocolError(String(error)));
    }
  }

  private flush(): void {
    const result = this.outgoing.flush(this.fd);
    // What the peer said before it went away is still to be read, and tells more than EPIPE does.
    if (result < 0) this.receive();
    if (result < 0) this.end(broken("write", -result));
    this.refused = this.outgoing.size > 0;
    if (this.watch !== undefined) this.watch.events = this.wanted();
  }

  private wanted(): number {
    return this.refused ? POLLIN | POLLOUT : POLLIN;
  }

  private end(reason: Error): void {
    if (this.ended !== undefined) return;
    this.ended = reason;
    this.watch?.close();
    closeFd(this.fd);
    this.listener?.closed(reason);
    this.listener = undefined;
  }
}

const broken = (operation: string, code: number): ChannelClosedError =>
  new ChannelClosedError(`the channel to the agent broke: ${describe(code)} (${errnoName(code)})`, {
    cause: new SysError(operation, code, errnoName(code), describe(code)),
  });

/**
 * One connection to a guest agent, whatever carries it. Above this interface nothing knows the transport.
 */

import type { Op } from "../sys/op.ts";

export type Transport = "vsock" | "serial" | "local" | "mailbox";

export interface ChannelListener {
  /** The body of one frame, in order of arrival. The bytes are the receiver's to keep. A throw ends the channel. */
  frame(body: Uint8Array): void;
  /** The channel ended and will deliver nothing more; called once. `reason` says why in one clause. */
  closed(reason: Error): void;
}

/** How a session begins where the transport has no connections of its own. */
export interface Resync {
  /** Goes out before `body`, and comes back before the frame that answers it. */
  readonly magic: Uint8Array;
  readonly body: Uint8Array;
  /** Whether a frame that followed the magic is the answer to this very `body`. */
  accepts(body: Uint8Array): boolean;
}

export interface Channel {
  readonly transport: Transport;
  /**
   * Queues the body of one frame, given in one or several parts. Never blocks; what the kernel does not take
   * now goes out as the reactor turns. The parts must not change until they are `drained`.
   */
  send(...body: Uint8Array[]): void;
  /** As `send`, without telling the kernel yet: goes out in front of the next `send`. */
  queue(...body: Uint8Array[]): void;
  /** Bytes queued and not yet taken by the kernel. */
  readonly queued: number;
  /** Bytes that have arrived since the channel began, those of unfinished frames with them. */
  readonly received: number;
  /** Waits until at most `bytes` are queued: how a sender of bulk data keeps its memory bounded. */
  drained(bytes: number): Op<void>;
  listen(listener: ChannelListener): void;
  /** Gives the memory of a delivered body back, for a later one; nobody may look at it again. `view`: any part of it. */
  recycle(view: Uint8Array): void;
  /**
   * Present where a session must be begun by the host (serial): sends the question and delivers nothing until
   * its answer has come, which is the first frame delivered. A later call replaces an unanswered earlier one.
   */
  readonly resync?: ((resync: Resync) => void) | undefined;
  /** Idempotent. The listener hears nothing afterwards. */
  close(): void;
}

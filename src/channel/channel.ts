/**
 * One connection to a guest agent, whatever carries it. Above this interface nothing knows the transport.
 */

import type { Op } from "../sys/op.ts";

export type Transport = "vsock" | "serial" | "local";

export interface ChannelListener {
  /** The body of one frame, in order of arrival. The bytes are the receiver's to keep. */
  frame(body: Uint8Array): void;
  /** The channel ended and will deliver nothing more; called once. `reason` says why in one clause. */
  closed(reason: Error): void;
}

export interface Channel {
  readonly transport: Transport;
  /** Queues the body of one frame. Never blocks; what the kernel does not take now goes out as the reactor turns. */
  send(body: Uint8Array): void;
  /** Bytes queued and not yet taken by the kernel. */
  readonly queued: number;
  /** Waits until at most `bytes` are queued: how a sender of bulk data keeps its memory bounded. */
  drained(bytes: number): Op<void>;
  listen(listener: ChannelListener): void;
  /** Idempotent. The listener hears nothing afterwards. */
  close(): void;
}

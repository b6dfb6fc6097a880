/** Where events of one run come together and are handed to everybody who listens, in order. */

import type { Emit, ProviumEvent } from "./types.ts";

/** A reporter, a sink, a recorder. Must not throw. */
export type Consumer = (event: ProviumEvent) => void;

/** Raised with every change of the payloads that a reader could notice. */
export const EVENT_PROTOCOL_VERSION = 1;

/** Nanoseconds since the epoch; the clock of the event loop gives microseconds. */
export const eventTime = (): bigint =>
  BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000)) * 1000n;

export class EventStream {
  private readonly consumers: Consumer[] = [];

  subscribe(consumer: Consumer): void {
    this.consumers.push(consumer);
  }

  /** Stamps an event with the time and passes it on. */
  readonly emit: Emit = (kind, payload) => {
    this.pass({ ts: eventTime(), kind, payload } as ProviumEvent);
  };

  /** Passes on an event that happened elsewhere, with its own time. */
  pass(event: ProviumEvent): void {
    for (const consumer of this.consumers) consumer(event);
  }
}

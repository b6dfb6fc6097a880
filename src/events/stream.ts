/** Where events of one run come together and are handed to everybody who listens, in order. */

import type { Emit, ProviumEvent } from "./types.ts";

/** A reporter, a sink, a recorder. Must not throw. */
export type Consumer = (event: ProviumEvent) => void;

/** Raised with every change of the payloads that a reader could notice. */
export const EVENT_PROTOCOL_VERSION = 2;

/** Bytes that wait for slow readers: from here on those who produce events are asked to pause, … */
const CONGESTED_BYTES = 16 * 1024 * 1024;
/** … and to go on when there are fewer than this. */
const RELIEVED_BYTES = 4 * 1024 * 1024;

/** Nanoseconds since the epoch; the clock of the event loop gives microseconds. */
export const eventTime = (): bigint =>
  BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000)) * 1000n;

export class EventStream {
  private readonly consumers: Consumer[] = [];
  private readonly producers = new Set<(congested: boolean) => void>();
  private readonly waiting = new Map<object, number>();
  /** Readers are so far behind that producers should pause: memory would fill otherwise. */
  congested = false;

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

  /** `who` has so many bytes that its reader has not taken yet. */
  backlog(who: object, bytes: number): void {
    if (bytes === 0) this.waiting.delete(who);
    else this.waiting.set(who, bytes);
    let sum = 0;
    for (const each of this.waiting.values()) sum += each;
    if (this.congested ? sum >= RELIEVED_BYTES : sum < CONGESTED_BYTES) return;
    this.congested = !this.congested;
    for (const producer of this.producers) producer(this.congested);
  }

  /** Calls `producer` whenever it should pause or go on; the result ends that. */
  onCongestion(producer: (congested: boolean) => void): () => void {
    this.producers.add(producer);
    return () => this.producers.delete(producer);
  }
}

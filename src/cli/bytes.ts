/** Standard input and outputs as bytes, with what waits counted: neither side holds more than it should. */

import type { EventStream } from "../events/stream.ts";

/** Writes to one output; what the reader has not taken counts as backlog of the run. */
export class ByteOutlet {
  private waiting = 0;
  /** Nobody reads any more. */
  gone = false;

  constructor(
    private readonly to: NodeJS.WriteStream,
    private readonly stream: EventStream,
    onGone: () => void,
  ) {
    to.once("error", () => {
      this.gone = true;
      this.stream.backlog(this, 0);
      onGone();
    });
  }

  write(data: Uint8Array): void {
    if (this.gone) return;
    this.count(data.byteLength);
    this.to.write(data, () => this.count(-data.byteLength));
  }

  private count(bytes: number): void {
    this.waiting += bytes;
    if (!this.gone) this.stream.backlog(this, this.waiting);
  }
}

/**
 * Standard input in pieces, each only after `next` was called. An empty piece is its end.
 *
 * Not `process.stdin`: under load that loses the end when it comes while the stream is paused.
 */
export class ByteSource {
  private closed = false;
  private pieces: AsyncIterator<Uint8Array> | undefined;

  constructor(private readonly take: (data: Uint8Array) => void) {}

  async next(): Promise<void> {
    let data: Uint8Array | undefined;
    try {
      this.pieces ??= Bun.stdin.stream()[Symbol.asyncIterator]();
      // An empty piece would be taken for the end.
      do data = (await this.pieces.next()).value;
      while (data?.byteLength === 0);
    } catch {
      // What cannot be read (a directory, a terminal that is gone) has come to its end.
    }
    if (!this.closed) this.take(data ?? new Uint8Array());
  }

  /** A read that waits ends with the process. */
  close(): void {
    this.closed = true;
  }
}

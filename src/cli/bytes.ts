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

/** Standard input in pieces, each only after `next` was called. An empty piece is its end. */
export class ByteSource {
  private readonly input = process.stdin;

  constructor(private readonly take: (data: Uint8Array) => void) {}

  start(): void {
    this.input.on("data", (data: Buffer) => {
      this.input.pause();
      // An empty piece would be taken for the end.
      if (data.byteLength === 0) this.next();
      else this.take(new Uint8Array(data));
    });
    this.input.once("end", () => this.take(new Uint8Array()));
    this.input.once("error", () => this.take(new Uint8Array()));
  }

  next(): void {
    this.input.resume();
  }

  close(): void {
    this.input.removeAllListeners("data");
    this.input.pause();
  }
}

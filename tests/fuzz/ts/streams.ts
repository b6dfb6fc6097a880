/**
 * The output of a guest's process in pieces of any size, taken in portions of any size, searched, and gone back to:
 * what comes out is what went in, and credit is never given twice.
 */

import { Inbox } from "../../../src/api/inbox.ts";
import { Output, type OutputState, WINDOW_BYTES } from "../../../src/guest/output.ts";
import { joined } from "../../unit/packet/frames.ts";
import { bytesOf, must, type Target } from "../target.ts";

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

/** Beside the real ones plain bytes, which do the same slowly. */
class Run {
  private credit = WINDOW_BYTES;
  private readonly output = new Output((bytes) => {
    this.credit += bytes;
  });
  private readonly inbox = new Inbox();
  private sent = Buffer.alloc(0);
  private arrived = Buffer.alloc(0);
  private saved:
    | { readonly state: OutputState; readonly sent: Buffer<ArrayBuffer>; readonly credit: number }
    | undefined;

  constructor(private readonly pattern: Uint8Array) {}

  push(piece: Uint8Array): void {
    if (piece.byteLength > this.credit) return;
    this.credit -= piece.byteLength;
    this.output.push(piece.slice(), false, false);
    this.sent = Buffer.concat([this.sent, piece]);
    must(this.credit <= WINDOW_BYTES, "no more credit than a window");
  }

  take(limit: number): void {
    const chunk = this.output.take(limit) ?? new Uint8Array(0);
    must(chunk.byteLength <= limit, "no more than was asked for");
    must(chunk.byteLength > 0 || this.sent.byteLength === 0, "something, where there is something");
    must(same(chunk, this.sent.subarray(0, chunk.byteLength)), "in the order in which it came");
    this.sent = this.sent.subarray(chunk.byteLength);
    this.inbox.add(chunk);
    this.arrived = Buffer.concat([this.arrived, chunk]);
  }

  search(): void {
    const at = this.arrived.indexOf(this.pattern);
    const end = this.inbox.search(this.pattern).found();
    must(end === (at < 0 ? undefined : at + this.pattern.byteLength), "the first match is found");
    if (end === undefined) return;
    must(same(this.inbox.take(end), this.arrived.subarray(0, end)), "a match with all before it");
    this.arrived = this.arrived.subarray(end);
  }

  save(): void {
    this.saved = { state: this.output.state, sent: this.sent, credit: this.credit };
  }

  goBack(): void {
    if (this.saved === undefined) return;
    this.output.state = this.saved.state;
    this.sent = this.saved.sent;
    this.credit = this.saved.credit;
  }

  check(): void {
    must(this.output.pending === this.sent.byteLength, "so much is pending");
    must(this.inbox.bytes === this.arrived.byteLength, "so much has arrived");
    must(same(this.inbox.last(9), this.arrived.subarray(-9)), "the end of what has arrived");
  }
}

export const streams: Target = {
  name: "streams",
  source: import.meta.file,
  seeds: [
    joined([1], bytesOf("ab"), [5], bytesOf("xxaab"), [130, 130, 200, 3], bytesOf("cba"), [190, 200]),
    joined(
      [1, 10, 255, 120],
      new Uint8Array(120),
      [255, 120],
      new Uint8Array(120),
      [230, 191, 245, 191, 200],
    ),
  ],
  words: [[200, 200], [230, 191, 250], [191, 191], [128], [255, 127]].map((it) => Uint8Array.from(it)),
  run: (input) => {
    const patternBytes = 1 + ((input[0] ?? 0) % 8);
    const run = new Run(input.slice(1, 1 + patternBytes));
    for (let at = 1 + patternBytes, turns = 0; at < input.byteLength && turns < 200; turns++) {
      const order = input[at++] as number;
      if (order < 128) {
        run.push(input.subarray(at, at + order));
        at += order;
      } else if (order < 192) run.take(order - 127);
      else if (order < 224) run.search();
      else if (order < 240) run.save();
      else if (order < 255) run.goBack();
      // More than a block of small pieces holds.
      else run.push(new Uint8Array(64 * (input[at++] ?? 0)).fill(turns));
      run.check();
    }
  },
};

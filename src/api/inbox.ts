/** Bytes of a stream that have come and not been asked for yet. Nothing of them is lost by a search that fails. */

const NOTHING = new Uint8Array(0);

export class Inbox {
  private chunks: Uint8Array[] = [];
  private size = 0;

  get bytes(): number {
    return this.size;
  }

  add(chunk: Uint8Array): void {
    if (chunk.byteLength === 0) return;
    this.chunks.push(chunk);
    this.size += chunk.byteLength;
  }

  /** The oldest chunk, removed. */
  shift(): Uint8Array | undefined {
    const chunk = this.chunks.shift();
    this.size -= chunk?.byteLength ?? 0;
    return chunk;
  }

  clear(): void {
    this.chunks = [];
    this.size = 0;
  }

  /** The first `count` bytes, removed, in one piece. */
  take(count: number): Uint8Array {
    const parts: Uint8Array[] = [];
    let missing = count;
    while (missing > 0) {
      const chunk = this.chunks[0] ?? NOTHING;
      if (chunk.byteLength > missing) {
        parts.push(chunk.subarray(0, missing));
        this.chunks[0] = chunk.subarray(missing);
        missing = 0;
      } else {
        parts.push(chunk);
        this.chunks.shift();
        missing -= chunk.byteLength;
      }
    }
    this.size -= count;
    return parts.length === 1 ? (parts[0] as Uint8Array) : new Uint8Array(Buffer.concat(parts));
  }

  /** The last bytes, for messages. */
  last(count: number): Uint8Array {
    const parts: Uint8Array[] = [];
    let length = 0;
    for (let i = this.chunks.length - 1; i >= 0 && length < count; i--) {
      parts.unshift(this.chunks[i] as Uint8Array);
      length += (this.chunks[i] as Uint8Array).byteLength;
    }
    return new Uint8Array(Buffer.concat(parts)).subarray(Math.max(0, length - count));
  }

  search(pattern: Uint8Array): Search {
    return new Search(this.chunks, pattern);
  }
}

/** Looks for a byte string in the chunks of an inbox, never twice at the same ones. Valid until bytes are removed. */
class Search {
  private next = 0;
  private passed = 0;
  /** The end of what was looked at: a match may begin in it. */
  private carry: Uint8Array = NOTHING;

  constructor(
    private readonly chunks: readonly Uint8Array[],
    private readonly pattern: Uint8Array,
  ) {}

  /** How many bytes there are up to the end of the first match; undefined when it has not come yet. */
  found(): number | undefined {
    const { pattern } = this;
    if (pattern.byteLength === 0) return 0;
    for (; this.next < this.chunks.length; this.next++) {
      const chunk = this.chunks[this.next] as Uint8Array;
      const window =
        this.carry.byteLength === 0
          ? Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
          : Buffer.concat([this.carry, chunk]);
      const at = window.indexOf(pattern);
      if (at >= 0) return this.passed - this.carry.byteLength + at + pattern.byteLength;
      this.passed += chunk.byteLength;
      this.carry = Uint8Array.from(window.subarray(Math.max(0, window.byteLength - pattern.byteLength + 1)));
    }
    return undefined;
  }
}

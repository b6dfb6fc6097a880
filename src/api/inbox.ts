/** Bytes of a stream that have come and not been asked for yet. Nothing of them is lost by a search that fails. */

const NOTHING = new Uint8Array(0);

export class Inbox {
  private chunks: Uint8Array[] = [];
  private size = 0;
  /** How often something came. */
  added = 0;
  /** How often something was removed. */
  removals = 0;

  get bytes(): number {
    return this.size;
  }

  get contents(): readonly Uint8Array[] {
    return this.chunks;
  }

  add(chunk: Uint8Array): void {
    if (chunk.byteLength === 0) return;
    this.chunks.push(chunk);
    this.size += chunk.byteLength;
    this.added++;
  }

  /** The oldest chunk, removed. */
  shift(): Uint8Array | undefined {
    const chunk = this.chunks.shift();
    if (chunk === undefined) return undefined;
    this.size -= chunk.byteLength;
    this.removals++;
    return chunk;
  }

  clear(): void {
    this.chunks = [];
    this.size = 0;
    this.removals++;
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
    this.removals++;
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
    return new Search(this, pattern);
  }
}

/** Looks for a byte string in the chunks of an inbox, never twice at the same ones until something is removed. */
class Search {
  private removals = 0;
  private next = 0;
  private passed = 0;
  /** The end of what was looked at: a match may begin in it. */
  private carry: Uint8Array = NOTHING;

  constructor(
    private readonly inbox: Inbox,
    private readonly pattern: Uint8Array,
  ) {}

  /** How many bytes there are up to the end of the first match; undefined when it has not come yet. */
  found(): number | undefined {
    const { pattern } = this;
    if (pattern.byteLength === 0) return 0;
    const { contents, removals } = this.inbox;
    if (removals !== this.removals) this.restart(removals);
    for (; this.next < contents.length; this.next++) {
      const chunk = contents[this.next] as Uint8Array;
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

  /** Another reader has taken what was looked at, or a part of it. */
  private restart(removals: number): void {
    this.removals = removals;
    this.next = 0;
    this.passed = 0;
    this.carry = NOTHING;
  }
}

/**
 * What a machine's consoles said, in one stream: a file for all of it, a bounded tail in memory.
 *
 * Two devices write at the same time. So that they do not cut each other's lines, the device that has a line
 * open keeps the floor; what the other says meanwhile waits until that line ends, for `HOLD_MS` at most (a
 * prompt stays open for ever), and then starts on a line of its own.
 */

import { closeSync, openSync, readFileSync, readSync, writeSync } from "node:fs";
import type { Reactor } from "../sys/reactor.ts";
import { Timer } from "../sys/timer.ts";

const TAIL_BYTES = 64 * 1024;
const HOLD_MS = 50;
const HOLD_BYTES = 64 * 1024;
/** A guest that prints for ever must not fill the disk: beyond this only the tail moves on. */
const FILE_BYTES = 256 * 1024 * 1024;
const NEWLINE = 10;

export class ConsoleLog {
  /** Bytes said so far. */
  length = 0;
  private fd: number | undefined;
  /** Bytes that the file has for certain. */
  private saved = 0;
  /** The last bytes are in here, up to `used`; twice as large as the tail, so that it is shifted rarely. */
  private readonly recent = new Uint8Array(2 * TAIL_BYTES);
  private used = 0;
  /** The device whose line is open, if one is. */
  private speaker: string | undefined;
  private held: { device: string; bytes: Uint8Array }[] = [];
  private heldBytes = 0;
  private patience: Timer | undefined;

  /** Creates `path`, or empties it. */
  constructor(
    private readonly path: string,
    private readonly reactor: Reactor,
    private readonly fileBytes = FILE_BYTES,
  ) {
    this.fd = openSync(path, "w", 0o600);
  }

  /** Takes what a device said; the bytes are kept. */
  add(device: string, bytes: Uint8Array): void {
    if (bytes.byteLength === 0) return;
    if (this.speaker !== undefined && this.speaker !== device) {
      this.held.push({ device, bytes });
      this.heldBytes += bytes.byteLength;
      if (this.heldBytes >= HOLD_BYTES) this.release();
      else this.patience ??= new Timer(this.reactor, HOLD_MS, () => this.release());
      return;
    }
    const line = bytes.lastIndexOf(NEWLINE) + 1;
    if (this.held.length === 0 || line === 0) {
      this.say(device, bytes);
      return;
    }
    this.say(device, bytes.subarray(0, line));
    this.release();
    this.add(device, bytes.subarray(line));
  }

  /** Everything; of what the file could not hold its end, and how much is missing before that. */
  all(): Uint8Array {
    const { tail } = this;
    if (this.length <= tail.byteLength) return tail.slice();
    const file = readFileSync(this.path);
    const missing = this.length - file.byteLength - tail.byteLength;
    const gap = missing > 0 ? `\n[provium: ${missing} bytes of the console are left out here]\n` : "";
    const rest = tail.subarray(Math.min(tail.byteLength, Math.max(0, -missing)));
    return new Uint8Array(Buffer.concat([file, Buffer.from(gap), rest]));
  }

  /** The last `bytes` as text, from memory. */
  last(bytes: number): string {
    return new TextDecoder().decode(this.tail.subarray(Math.max(0, this.tail.byteLength - bytes)));
  }

  /** `offset`, or the start of the tail where the file does not have what is there. */
  kept(offset: number): number {
    return offset < this.saved ? offset : Math.max(offset, this.length - this.tail.byteLength);
  }

  /** At most `limit` bytes from `offset` on. */
  read(offset: number, limit: number): Uint8Array {
    const count = Math.max(0, Math.min(limit, this.length - offset));
    const tailStart = this.length - this.tail.byteLength;
    if (offset >= tailStart) return this.tail.slice(offset - tailStart, offset - tailStart + count);
    const out = new Uint8Array(count);
    const fd = openSync(this.path, "r");
    try {
      return out.subarray(0, readSync(fd, out, 0, count, offset));
    } finally {
      closeSync(fd);
    }
  }

  /** Lets out what is held. */
  settle(): void {
    this.release();
  }

  /** Lets out what is held and closes the file; reading stays possible. Idempotent. */
  close(): void {
    this.release();
    if (this.fd === undefined) return;
    closeSync(this.fd);
    this.fd = undefined;
  }

  /** Ends the open line for the sake of those that wait, in the order in which they came. */
  private release(): void {
    this.patience?.cancel();
    this.patience = undefined;
    const held = this.held;
    this.held = [];
    this.heldBytes = 0;
    // Each device's bytes go out together: what ends its line may have come after a turn of the other.
    for (const device of new Set(held.map((entry) => entry.device))) {
      if (this.speaker !== undefined && this.speaker !== device) this.append(Uint8Array.of(NEWLINE));
      for (const entry of held) if (entry.device === device) this.say(device, entry.bytes);
    }
  }

  private say(device: string, bytes: Uint8Array): void {
    this.append(bytes);
    this.speaker = bytes[bytes.byteLength - 1] === NEWLINE ? undefined : device;
  }

  private append(bytes: Uint8Array): void {
    if (this.fd !== undefined && this.length < this.fileBytes) this.save(this.fd, bytes);
    this.length += bytes.byteLength;
    const kept = bytes.subarray(Math.max(0, bytes.byteLength - TAIL_BYTES));
    // What was before does not adjoin what is kept of more than a tail.
    if (kept.byteLength < bytes.byteLength) this.used = 0;
    if (this.used + kept.byteLength > this.recent.byteLength) {
      this.recent.copyWithin(0, this.used - TAIL_BYTES, this.used);
      this.used = TAIL_BYTES;
    }
    this.recent.set(kept, this.used);
    this.used += kept.byteLength;
  }

  /** A full disk costs the log its file, not the test its machine. */
  private save(fd: number, bytes: Uint8Array): void {
    try {
      writeAll(fd, bytes);
      this.saved += bytes.byteLength;
    } catch {
      closeSync(fd);
      this.fd = undefined;
    }
  }

  private get tail(): Uint8Array {
    return this.recent.subarray(0, this.used);
  }
}

const writeAll = (fd: number, bytes: Uint8Array): void => {
  for (let at = 0; at < bytes.byteLength; ) at += writeSync(fd, bytes, at);
};

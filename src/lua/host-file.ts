/** A file of the host opened by a test: what the standard library's `file` methods work on. */

import { closeSync, fstatSync, fsyncSync, openSync, readSync, writeSync } from "node:fs";

const CHUNK_BYTES = 64 * 1024;
const NEWLINE = 0x0a;

/** Reads and writes go through one buffer that follows the position, as stdio does it. */
export class HostFile {
  private fd: number | undefined;
  /** Where the next read or write takes place; the buffer lies before it. Undefined: a pipe or terminal. */
  private position: number | undefined;
  /** Bytes read ahead. */
  private ahead = Buffer.alloc(0);

  /** @param flags of open(2), as "r", "w", "a", "r+", "w+", "a+". Throws the error of node:fs. */
  constructor(path: string, flags: string) {
    this.fd = openSync(path, flags, 0o666);
    const stat = fstatSync(this.fd);
    if (stat.isDirectory() && flags !== "r") {
      this.close();
      throw Object.assign(new Error(`${path}: Is a directory`), { code: "EISDIR", errno: -21 });
    }
    this.position =
      stat.isFile() || stat.isBlockDevice() ? (flags.startsWith("a") ? stat.size : 0) : undefined;
  }

  get closed(): boolean {
    return this.fd === undefined;
  }

  /** At most `length` bytes, undefined at the end of the file. 0 bytes: "" unless at the end. */
  read(length: number): Uint8Array | undefined {
    this.fill(Math.max(1, length));
    if (this.ahead.byteLength === 0) return undefined;
    return this.take(Math.min(length, this.ahead.byteLength));
  }

  /** A line, with its line break when `keep`. */
  line(keep: boolean): Uint8Array | undefined {
    let searched = 0;
    for (;;) {
      const end = this.ahead.indexOf(NEWLINE, searched);
      if (end >= 0) {
        const line = this.take(end + 1);
        return keep ? line : line.subarray(0, end);
      }
      searched = this.ahead.byteLength;
      if (this.fill(searched + 1) <= searched) break;
    }
    return this.ahead.byteLength === 0 ? undefined : this.take(this.ahead.byteLength);
  }

  /** The rest of the file. */
  all(): Uint8Array {
    while (this.more(CHUNK_BYTES) > 0);
    return this.take(this.ahead.byteLength);
  }

  /** The next bytes without taking them. */
  peek(length: number): Uint8Array {
    this.fill(length);
    return this.ahead.subarray(0, length);
  }

  write(data: Uint8Array): void {
    this.unread();
    for (let done = 0; done < data.byteLength; ) {
      const n = writeSync(this.open, data, done, data.byteLength - done, this.position ?? null);
      done += n;
      if (this.position !== undefined) this.position += n;
    }
  }

  /** The new position. Throws an error with code ESPIPE where there is none, EINVAL for one before the start. */
  seek(whence: "set" | "cur" | "end", offset: number): number {
    this.unread();
    if (this.position === undefined)
      throw Object.assign(new Error("Illegal seek"), { code: "ESPIPE", errno: -29 });
    const base = whence === "set" ? 0 : whence === "cur" ? this.position : fstatSync(this.open).size;
    if (base + offset < 0) throw Object.assign(new Error("Invalid argument"), { code: "EINVAL", errno: -22 });
    this.position = base + offset;
    return this.position;
  }

  sync(): void {
    if (this.position !== undefined) fsyncSync(this.open);
  }

  close(): void {
    if (this.fd === undefined) return;
    const { fd } = this;
    this.fd = undefined;
    closeSync(fd);
  }

  private get open(): number {
    if (this.fd === undefined) throw new Error("file is closed");
    return this.fd;
  }

  /** Reads on until `length` bytes are ahead, or the file ends. Returns how many there are. */
  private fill(length: number): number {
    while (this.ahead.byteLength < length)
      if (this.more(Math.max(CHUNK_BYTES, length - this.ahead.byteLength)) === 0) break;
    return this.ahead.byteLength;
  }

  private more(length: number): number {
    const chunk = Buffer.allocUnsafe(length);
    const n = readSync(this.open, chunk, 0, length, this.position ?? null);
    if (n === 0) return 0;
    if (this.position !== undefined) this.position += n;
    const fresh = chunk.subarray(0, n);
    this.ahead = this.ahead.byteLength === 0 ? fresh : Buffer.concat([this.ahead, fresh]);
    return n;
  }

  take(length: number): Uint8Array {
    const taken = new Uint8Array(this.ahead.subarray(0, length));
    this.ahead = this.ahead.subarray(length);
    return taken;
  }

  /** Gives up what was read ahead, before the position matters. */
  private unread(): void {
    if (this.position !== undefined) this.position -= this.ahead.byteLength;
    this.ahead = Buffer.alloc(0);
  }
}

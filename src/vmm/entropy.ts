/**
 * The source behind a seeded virtio-rng: the same seed gives the same bytes in the same order.
 *
 * QEMU asks in the EGD protocol: a request is the byte 2 and a count of 1 to 255, the answer that many bytes.
 * The stream is SHA-256 over the seed and a block counter, so it does not depend on how it is cut.
 */

import { createHash } from "node:crypto";
import { closeFd, EAGAIN, readSome, setNonBlocking, writeSome } from "../sys/libc.ts";
import { POLLIN, POLLOUT, type Reactor, type Watch } from "../sys/reactor.ts";

const BLOCKING_READ = 2;

/** An endless stream of bytes made from a 64-bit seed. */
export class SeededBytes {
  /** Bytes taken so far. */
  taken = 0;
  private block = new Uint8Array(0);
  private counter = 0n;

  constructor(private readonly seed: bigint) {}

  take(count: number): Uint8Array {
    const out = new Uint8Array(count);
    this.taken += count;
    for (let filled = 0; filled < count; ) {
      if (this.block.byteLength === 0) this.block = this.next();
      const part = this.block.subarray(0, count - filled);
      out.set(part, filled);
      this.block = this.block.subarray(part.byteLength);
      filled += part.byteLength;
    }
    return out;
  }

  private next(): Uint8Array<ArrayBuffer> {
    const words = new DataView(new ArrayBuffer(16));
    words.setBigUint64(0, BigInt.asUintN(64, this.seed));
    words.setBigUint64(8, this.counter++);
    return new Uint8Array(createHash("sha256").update(new Uint8Array(words.buffer)).digest());
  }
}

export class EntropyServer {
  private readonly bytes: SeededBytes;
  private requests = new Uint8Array(0);
  private answers = new Uint8Array(0);
  private watch: Watch | undefined;

  /** Takes over `fd`, our end of the pair that QEMU asks on. `skip`: bytes that an earlier life of the guest has had. */
  constructor(
    private readonly fd: number,
    seed: bigint,
    reactor: Reactor,
    skip = 0,
  ) {
    this.bytes = new SeededBytes(seed);
    this.bytes.take(skip);
    setNonBlocking(fd);
    this.watch = reactor.watch(fd, POLLIN, () => this.serve());
  }

  /** Bytes given out, those of the earlier life included. */
  get given(): number {
    return this.bytes.taken;
  }

  close(): void {
    if (this.watch === undefined) return;
    this.watch.close();
    this.watch = undefined;
    closeFd(this.fd);
  }

  private serve(): void {
    const chunk = new Uint8Array(4096);
    const n = readSome(this.fd, chunk);
    if (n === 0 || (n < 0 && n !== -EAGAIN)) {
      this.close();
      return;
    }
    if (n > 0) this.requests = joined(this.requests, chunk.subarray(0, n));
    let at = 0;
    for (; at + 2 <= this.requests.byteLength; at += 2)
      if (this.requests[at] === BLOCKING_READ)
        this.answers = joined(this.answers, this.bytes.take(this.requests[at + 1] as number));
    this.requests = this.requests.slice(at);
    this.flush();
  }

  private flush(): void {
    if (this.answers.byteLength > 0) {
      const n = writeSome(this.fd, this.answers);
      if (n > 0) this.answers = this.answers.slice(n);
    }
    if (this.watch !== undefined) this.watch.events = this.answers.byteLength > 0 ? POLLIN | POLLOUT : POLLIN;
  }
}

const joined = (a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> => {
  const out = new Uint8Array(a.byteLength + b.byteLength);
  out.set(a);
  out.set(b, a.byteLength);
  return out;
};

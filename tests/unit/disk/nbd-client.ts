/** A small client of the NBD protocol, and the disk's process under the sanitizers that it talks to. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DiskProcess } from "../../../src/disk/process.ts";
import type { Value } from "../../../src/guest/codec.ts";
import { closeFd, EAGAIN, readSome, setNonBlocking, socketPair, writeSome } from "../../../src/sys/libc.ts";
import { after, type Op, until } from "../../../src/sys/op.ts";
import { POLLIN, Reactor, type Watch } from "../../../src/sys/reactor.ts";

/** Under AddressSanitizer: whatever it finds ends the process and fails the test that waits on it. */
export const HELPER = new URL("../../../build/agent-asan/provium-helper", import.meta.url).pathname;
const SOON = 20_000;

export const READ = 0;
export const WRITE = 1;
export const DISC = 2;
export const FLUSH = 3;
export const TRIM = 4;
export const ZERO = 6;

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Big-endian numbers by width, texts and bytes, one after another. */
export const packed = (...parts: (readonly [number, number | bigint] | string | Uint8Array)[]): Uint8Array =>
  new Uint8Array(
    Buffer.concat(
      parts.map((part) => {
        if (typeof part === "string") return bytes(part);
        if (part instanceof Uint8Array) return part;
        const [width, value] = part;
        const out = Buffer.alloc(8);
        out.writeBigUInt64BE(BigInt.asUintN(64, BigInt(value)));
        return out.subarray(8 - width);
      }),
    ),
  );

export class NbdClient {
  private received = Buffer.alloc(0);
  private watch: Watch | undefined;
  private cookie = 0n;
  ended = false;

  constructor(
    private readonly fd: number,
    private readonly reactor: Reactor,
  ) {
    setNonBlocking(fd);
    const chunk = new Uint8Array(1024 * 1024);
    this.watch = reactor.watch(fd, POLLIN, () => {
      const n = readSome(fd, chunk);
      if (n === -EAGAIN) return;
      if (n > 0) this.received = Buffer.concat([this.received, chunk.subarray(0, n)]);
      else {
        this.ended = true;
        this.watch?.close();
      }
    });
  }

  send(...parts: Parameters<typeof packed>): void {
    const data = packed(...parts);
    for (let done = 0; done < data.byteLength; ) {
      const n = writeSome(this.fd, data.subarray(done));
      if (n > 0) done += n;
      // The server answers before it takes more: read meanwhile.
      else if (n === -EAGAIN) this.reactor.turn(after(10));
      else return;
    }
  }

  take(size: number): Buffer {
    const there = this.reactor.run(until(() => this.received.byteLength >= size || this.ended, after(SOON)));
    if (!there || this.received.byteLength < size)
      throw new Error(
        `${size} bytes wanted, ${this.received.byteLength} came${this.ended ? " before the end" : ""}`,
      );
    const data = this.received.subarray(0, size);
    this.received = this.received.subarray(size);
    return data;
  }

  /** Waits until the server has closed the connection. */
  closedByServer(): boolean {
    return this.reactor.run(until(() => this.ended, after(SOON)));
  }

  option(number: number, data: Uint8Array = new Uint8Array(0)): void {
    this.send("IHAVEOPT", [4, number], [4, data.byteLength], data);
  }

  optionReply(): { option: number; type: number; data: Buffer } {
    const head = this.take(20);
    return {
      option: head.readUInt32BE(8),
      type: head.readUInt32BE(12),
      data: this.take(head.readUInt32BE(16)),
    };
  }

  greet(flags = 3): void {
    this.take(18);
    this.send([4, flags]);
  }

  /** Negotiates with GO; the export's size and flags. */
  go(): { size: bigint; flags: number } {
    this.greet();
    this.option(7, packed([4, 0], [2, 0]));
    for (let size = 0n, flags = 0; ; ) {
      const { type, data } = this.optionReply();
      if (type === 1) return { size, flags };
      if (data.readUInt16BE(0) === 0) {
        size = data.readBigUInt64BE(2);
        flags = data.readUInt16BE(10);
      }
    }
  }

  request(
    type: number,
    offset: number | bigint,
    length: number,
    data: Uint8Array = new Uint8Array(0),
    flags = 0,
  ): bigint {
    this.send([4, 0x25609513], [2, flags], [2, type], [8, ++this.cookie], [8, offset], [4, length], data);
    return this.cookie;
  }

  reply(payload = 0): { error: number; cookie: bigint; data: Buffer } {
    const head = this.take(16);
    if (head.readUInt32BE(0) !== 0x67446698) throw new Error("no reply");
    const error = head.readUInt32BE(4);
    return {
      error,
      cookie: head.readBigUInt64BE(8),
      data: error === 0 ? this.take(payload) : Buffer.alloc(0),
    };
  }

  /** One request and its answer. */
  call(type: number, offset: number | bigint, length: number, data?: Uint8Array, flags = 0) {
    this.request(type, offset, length, data, flags);
    return this.reply(type === READ ? length : 0);
  }

  close(): void {
    this.watch?.close();
    closeFd(this.fd);
  }
}

/** One process with a temporary disk, and clients of it. */
export class Bench {
  readonly reactor = new Reactor();
  readonly directory = mkdtempSync(join(tmpdir(), "provium-unit-disk-"));
  readonly troubles: number[] = [];
  readonly process: DiskProcess;

  constructor() {
    this.process = DiskProcess.start(
      { reactor: this.reactor, env: { ...process.env, ASAN_OPTIONS: "detect_leaks=1" }, helper: HELPER },
      "disk `d`",
      (errno) => this.troubles.push(errno),
    );
  }

  run<T>(op: Op<T>): T {
    return this.reactor.run(op);
  }

  ask(name: Parameters<DiskProcess["ask"]>[0], values: Readonly<Record<string, Value>> = {}) {
    return this.run(this.process.ask(name, values));
  }

  open(path = join(this.directory, "image"), create = 1024 * 1024, readonly = false): number {
    const values = { path: bytes(path), readonly, create, scratch: create >= 0, daemon: [] };
    return Number(this.ask("OPEN", values).size);
  }

  connect(): NbdClient {
    const [ours, theirs] = socketPair();
    this.run(this.process.give("CONNECT", theirs));
    closeFd(theirs);
    return new NbdClient(ours, this.reactor);
  }

  fault(mode: number, more: Readonly<Record<string, Value>> = {}): void {
    this.ask("FAULT_SET", {
      ...{ fault: mode, mode, first: 0, end: -1, times: -1, probability: 2 ** 32, seed: 1 },
      ...{ delay_ns: 0, keep: 1, bits: 1, on_flush: 0 },
      ...more,
    });
  }

  /** Ends the process and says what it said: nothing, unless a sanitizer found something. */
  close(): string {
    this.process.close();
    const said = this.process.output();
    rmSync(this.directory, { recursive: true, force: true });
    return said;
  }
}

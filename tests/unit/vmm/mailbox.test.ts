import { afterEach, beforeEach, expect, test } from "bun:test";
import { closeSync, mkdtempSync, openSync, readSync, rmSync, statSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Channel } from "../../../src/channel/channel.ts";
import { closeFd, dupFd, EAGAIN, setNonBlocking, socketPair, writeSome } from "../../../src/sys/libc.ts";
import { after, type Op, until } from "../../../src/sys/op.ts";
import { Reactor } from "../../../src/sys/reactor.ts";
import { MAILBOX_BYTES, Mailbox } from "../../../src/vmm/mailbox.ts";

const SOON = 10_000;
const OUT_AT = 4096;
const IN_AT = 512 * 1024;

/** The guest's side: QEMU's ends of the sockets, and the memory. */
class Guest {
  readonly reactor = new Reactor();
  readonly directory = mkdtempSync(join(tmpdir(), "provium-unit-mailbox-"));
  readonly mailbox: Mailbox;
  readonly bodies: Uint8Array[] = [];
  readonly channel: Channel;
  rings = 0;
  private readonly ends: readonly number[];
  private readonly memory: number;
  private gate = 0;

  constructor() {
    const [bell, gate0, gate1] = [socketPair(), socketPair(4096), socketPair(4096)];
    this.ends = [bell[1], gate0[1], gate1[1]];
    for (const fd of this.ends) setNonBlocking(fd);
    const path = join(this.directory, "mailbox");
    this.mailbox = new Mailbox(
      path,
      bell[0],
      [
        { reads: gate0[0], fills: dupFd(gate0[1]) },
        { reads: gate1[0], fills: dupFd(gate1[1]) },
      ],
      this.reactor,
      () => this.rings++,
    );
    expect(statSync(path).size).toBe(MAILBOX_BYTES);
    this.memory = openSync(path, "r+");
    this.channel = this.mailbox.connect();
    this.channel.listen({ frame: (body) => this.bodies.push(body), closed: () => {} });
  }

  /** Says something, rings, and comes to the next gate. */
  stop(said: Uint8Array, room = 4096): void {
    this.gate = 1 - this.gate;
    const head = new DataView(new ArrayBuffer(16));
    head.setUint32(0, this.gate, true);
    head.setUint32(4, said.byteLength, true);
    head.setUint32(8, room, true);
    writeSync(this.memory, said, 0, said.byteLength, OUT_AT);
    writeSync(this.memory, head, 0, 16, 0);
    writeSome(this.ends[0] as number, new Uint8Array(1));
  }

  /** Tries the gate, as QEMU does again and again. */
  passes(): boolean {
    return writeSome(this.ends[1 + this.gate] as number, new Uint8Array(1)) !== -EAGAIN;
  }

  heard(): Uint8Array {
    const size = new DataView(new ArrayBuffer(4));
    readSync(this.memory, size, 0, 4, 12);
    const data = new Uint8Array(size.getUint32(0, true));
    readSync(this.memory, data, 0, data.byteLength, IN_AT);
    return data;
  }

  /** What a call does that waits for the guest, until `done`. */
  attend(done: () => boolean): boolean {
    return this.reactor.run(this.mailbox.attend(until(done, after(SOON)) as Op<boolean>));
  }

  close(): void {
    this.channel.close();
    this.mailbox.close();
    for (const fd of this.ends) closeFd(fd);
    closeSync(this.memory);
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** A frame: length and body. */
const frame = (...body: number[]): Uint8Array => Uint8Array.of(0, 0, 0, body.length, ...body);

let guest: Guest;
beforeEach(() => {
  guest = new Guest();
});
afterEach(() => guest.close());

test("what the guest says is delivered, and the gate stays closed until a call waits for the guest", () => {
  guest.stop(frame(7, 8));
  guest.reactor.run(until(() => guest.bodies.length > 0, after(SOON)));
  expect(guest.bodies).toEqual([Uint8Array.of(7, 8)]);
  expect(guest.rings).toBe(1);
  guest.reactor.run(until(() => false, after(20)));
  expect(guest.passes()).toBe(false);
  expect(guest.attend(() => guest.passes())).toBe(true);
});

test("the guest finds what was sent to it behind the gate, no more than it has room for", () => {
  guest.channel.send(Uint8Array.of(1, 2, 3));
  guest.stop(new Uint8Array(0), 5);
  guest.attend(() => guest.passes());
  expect(guest.heard()).toEqual(frame(1, 2, 3).subarray(0, 5));
  guest.stop(new Uint8Array(0), 4096);
  guest.attend(() => guest.passes());
  expect(guest.heard()).toEqual(frame(1, 2, 3).subarray(5));
});

test("a call that gets its answer ends before the guest goes on", () => {
  guest.stop(frame(9));
  expect(guest.attend(() => guest.bodies.length === 1)).toBe(true);
  expect(guest.passes()).toBe(false);
});

test("each of a hundred stops holds", () => {
  for (let i = 0; i < 100; i++) {
    guest.stop(frame(i));
    expect(guest.passes()).toBe(false);
    expect(guest.attend(() => guest.passes())).toBe(true);
  }
  expect(guest.bodies.map(([n]) => n)).toEqual(Array.from({ length: 100 }, (_, i) => i));
});

test("sizes that a guest makes up reach no further than the memory", () => {
  const head = new DataView(new ArrayBuffer(16));
  for (const at of [4, 8]) head.setUint32(at, 0xffffffff, true);
  const memory = openSync(join(guest.directory, "mailbox"), "r+");
  writeSync(memory, head, 0, 16, 0);
  closeSync(memory);
  guest.stop(frame(1), 0xffffffff);
  expect(guest.attend(() => guest.passes())).toBe(true);
  expect(guest.bodies).toHaveLength(1);
});

/**
 * The channel of a machine whose runs repeat (agent/guest/mailbox.c is the other end). The guest rings a bell
 * and stops at a gate, in the middle of an instruction; while it stands, what both sides have said changes hands in
 * memory that they share, and no time passes in the guest. So nothing depends on how long the host takes.
 *
 * A gate is a device of QEMU that writes each byte to a socket and holds the whole machine, its monitor included,
 * until the socket takes it (isa-debugcon): the gate is closed while the socket is full. Stopping the machine through
 * the monitor would not do: QEMU moves an idle guest's clock on at a moment that depends on its threads.
 *
 * It goes on only while a call waits for the guest and there is nothing else to do on the host: whatever the test
 * does with one answer is done before the guest runs on.
 */

import { closeSync, ftruncateSync, openSync, readSync, writeSync } from "node:fs";
import type { Channel } from "../channel/channel.ts";
import { StreamChannel } from "../channel/stream.ts";
import { closeFd, EAGAIN, readSome, setNonBlocking, socketPair, writeSome } from "../sys/libc.ts";
import type { Op } from "../sys/op.ts";
import { POLLIN, POLLOUT, type Reactor, type Watch } from "../sys/reactor.ts";

/** In step with agent/guest/mailbox.c: the whole, and where each side leaves what it says. */
export const MAILBOX_BYTES = 1024 * 1024;
/** I/O port of the bell; the gates follow it. */
export const MAILBOX_PORT = 0x5e0;
const OUT_AT = 4096;
const IN_AT = 512 * 1024;
const OUT_MAX = IN_AT - OUT_AT;
const IN_MAX = MAILBOX_BYTES - IN_AT;
/** gate, out_size, room, in_size: 32 bits each, in the byte order of the guest. */
const HEAD_BYTES = 16;
const IN_SIZE_AT = 12;
const FILLING = new Uint8Array(4096);
const ONE = FILLING.subarray(0, 1);

/** Our descriptors of one gate: `reads` empties the socket, `fills` is a copy of QEMU's own end. */
export interface Gate {
  readonly reads: number;
  readonly fills: number;
}

const close = ({ fills }: Gate): void => {
  for (const part of [FILLING, ONE]) while (writeSome(fills, part) > 0);
};
const open = ({ reads }: Gate): void => {
  const into = new Uint8Array(64 * 1024);
  while (readSome(reads, into) > 0);
};

export class Mailbox {
  private readonly memory: number;
  private socket = -1;
  private flush: Watch | undefined;
  /** What the guest has said and the channel has not taken yet. */
  private rest = new Uint8Array(0);
  private standing = false;
  private room = 0;
  private gate: 0 | 1 = 0;
  private readonly bellWatch: Watch;
  private waiting = 0;
  private due = false;
  private closed = false;

  /** Takes over the descriptors. `path`: the memory's file, made here. `rung`: the machine stands. */
  constructor(
    path: string,
    private readonly bell: number,
    private readonly gates: readonly [Gate, Gate],
    private readonly reactor: Reactor,
    private readonly rung: () => void,
  ) {
    this.memory = openSync(path, "wx+", 0o600);
    ftruncateSync(this.memory, MAILBOX_BYTES);
    for (const fd of [bell, ...gates.flatMap(({ reads, fills }) => [reads, fills])]) setNonBlocking(fd);
    for (const gate of gates) close(gate);
    this.bellWatch = reactor.watch(bell, POLLIN, () => this.ring());
  }

  /** A new channel; an earlier one has ended. */
  connect(): Channel {
    this.hangUp();
    const [ours, theirs] = socketPair();
    setNonBlocking(ours);
    this.socket = ours;
    return new StreamChannel(this.reactor, theirs, { transport: "mailbox" });
  }

  private ring(): void {
    const count = readSome(this.bell, new Uint8Array(16));
    if (count === -EAGAIN) return;
    if (count <= 0) {
      this.bellWatch.close();
      return;
    }
    const head = new DataView(new ArrayBuffer(HEAD_BYTES));
    readSync(this.memory, head, 0, HEAD_BYTES, 0);
    this.gate = head.getUint32(0, true) === 1 ? 1 : 0;
    // The guest is not to be trusted with sizes.
    const size = Math.min(head.getUint32(4, true), OUT_MAX);
    this.room = Math.min(head.getUint32(8, true), IN_MAX);
    const said = new Uint8Array(size);
    readSync(this.memory, said, 0, size, OUT_AT);
    this.rest = said;
    this.standing = true;
    this.rung();
    this.deliver();
  }

  /** Runs what waits for the guest: only then its time passes. */
  *attend<T>(op: Op<T>): Op<T> {
    this.release();
    try {
      return yield* op;
    } finally {
      this.waiting--;
    }
  }

  /** As if something waited from now on. */
  release(): void {
    this.waiting++;
    this.schedule();
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.hangUp();
    this.bellWatch.close();
    closeFd(this.bell);
    for (const { reads, fills } of this.gates) {
      closeFd(reads);
      closeFd(fills);
    }
    closeSync(this.memory);
  }

  private hangUp(): void {
    this.flush?.close();
    this.flush = undefined;
    if (this.socket >= 0) closeFd(this.socket);
    this.socket = -1;
  }

  private deliver(): void {
    while (this.rest.byteLength > 0 && this.socket >= 0) {
      const count = writeSome(this.socket, this.rest);
      if (count <= 0) break;
      this.rest = this.rest.subarray(count);
    }
    if (this.rest.byteLength > 0 && this.socket >= 0) {
      this.flush ??= this.reactor.watch(this.socket, POLLOUT, () => this.deliver());
      return;
    }
    this.flush?.close();
    this.flush = undefined;
    this.schedule();
  }

  private schedule(): void {
    if (this.due || !this.standing) return;
    this.due = true;
    this.reactor.whenIdle(() => {
      this.due = false;
      this.exchange();
    });
  }

  private exchange(): void {
    if (this.closed || !this.standing || this.waiting === 0 || this.flush !== undefined) return;
    const said = new Uint8Array(this.room);
    let size = 0;
    while (size < said.byteLength && this.socket >= 0) {
      const count = readSome(this.socket, said.subarray(size));
      if (count <= 0) break;
      size += count;
    }
    writeSync(this.memory, said, 0, size, IN_AT);
    const inSize = new DataView(new ArrayBuffer(4));
    inSize.setUint32(0, size, true);
    writeSync(this.memory, inSize, 0, 4, IN_SIZE_AT);
    this.standing = false;
    // The guest's next stop is at the other gate, which must be closed before it can get there.
    const other = this.gates[1 - this.gate] as Gate;
    open(other);
    close(other);
    open(this.gates[this.gate]);
  }
}

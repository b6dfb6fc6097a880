/** A switch under the sanitizers with network cards of our own at its ports: what QEMU would send and receive. */

import type {
  BackendBridge,
  Gateway,
  Impairment,
  Plan,
  PlannedPair,
  Port,
} from "../../../src/net/backend.ts";
import { UserBackend } from "../../../src/net/switch.ts";
import { SwitchControl } from "../../../src/net/switch-control.ts";
import { closeFd, EAGAIN, readSome, setNonBlocking, writeSome } from "../../../src/sys/libc.ts";
import { after, type Op, until } from "../../../src/sys/op.ts";
import { POLLIN, POLLOUT, Reactor, type Watch } from "../../../src/sys/reactor.ts";

export const HELPER = new URL("../../../build/agent-asan/provium-helper", import.meta.url).pathname;
export const WAIT_MS = 30_000;
const LENGTH_BYTES = 4;

/** Locally administered address number `n`. */
export const mac = (n: number): Uint8Array =>
  Uint8Array.of(0x52, 0x54, 0, (n >> 16) & 255, (n >> 8) & 255, n & 255);
export const BROADCAST = new Uint8Array(6).fill(0xff);

export const bytes = (...parts: (Uint8Array | readonly number[])[]): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(parts.flatMap((part) => [...part]));

/** An Ethernet frame of a type for experiments, unless another is named. */
export const ethernet = (
  to: Uint8Array,
  from: Uint8Array,
  payload: Uint8Array | readonly number[],
  type = 0x88b5,
): Uint8Array => {
  const frame = new Uint8Array(14 + payload.length);
  frame.set(to);
  frame.set(from, 6);
  frame.set([type >> 8, type & 255], 12);
  frame.set(payload, 14);
  return frame;
};

/** A payload that begins with a number. */
export const numbered = (n: number, size = 46): Uint8Array => {
  const payload = new Uint8Array(size);
  new DataView(payload.buffer).setUint32(0, n);
  return payload;
};
export const numberOf = (frame: Uint8Array): number =>
  new DataView(frame.buffer, frame.byteOffset + 14).getUint32(0);

/** A network card: sends and receives as QEMU's stream netdev does. */
export class Nic {
  readonly received: { readonly at: number; readonly frame: Uint8Array }[] = [];
  private unsent: Uint8Array[] = [];
  private taken = new Uint8Array(0);
  private watch: Watch;

  constructor(
    private readonly reactor: Reactor,
    readonly port: Port,
    readonly mac: Uint8Array,
  ) {
    setNonBlocking(port.wire.fd);
    this.watch = reactor.watch(port.wire.fd, POLLIN, (events) => this.serve(events));
  }

  get id(): number {
    return this.port.id;
  }

  get frames(): Uint8Array[] {
    return this.received.map(({ frame }) => frame);
  }

  /** Frames that are still to be taken by the socket. */
  get waiting(): number {
    return this.unsent.length;
  }

  send(...frames: Uint8Array[]): void {
    const whole = new Uint8Array(frames.reduce((sum, frame) => sum + LENGTH_BYTES + frame.byteLength, 0));
    const view = new DataView(whole.buffer);
    let at = 0;
    for (const frame of frames) {
      view.setUint32(at, frame.byteLength);
      whole.set(frame, at + LENGTH_BYTES);
      at += LENGTH_BYTES + frame.byteLength;
    }
    this.sendRaw(whole);
  }

  sendRaw(raw: Uint8Array): void {
    this.unsent.push(raw);
    this.flush();
  }

  /** Sends a numbered frame to another card. */
  tell(to: Nic, n: number, size = 46): void {
    this.send(ethernet(to.mac, this.mac, numbered(n, size)));
  }

  /** Waits until so many frames have come. */
  await(count: number): void {
    const here = this.reactor.run(until(() => this.received.length >= count, after(WAIT_MS)));
    if (!here) throw new Error(`${this.received.length} of ${count} frames came`);
  }

  /** Numbers of the frames received from now on are not mixed with earlier ones. */
  clear(): void {
    this.received.length = 0;
  }

  /** Stops to read, so that the switch finds the socket full. */
  stall(): void {
    this.watch.events = this.unsent.length > 0 ? POLLOUT : 0;
  }
  resume(): void {
    this.watch.events = POLLIN | POLLOUT;
  }

  unplug(): void {
    this.watch.close();
    closeFd(this.port.wire.fd);
  }

  private serve(events: number): void {
    if ((events & POLLOUT) !== 0) this.flush();
    if ((events & POLLIN) !== 0) this.read();
  }

  private flush(): void {
    for (let next = this.unsent[0]; next !== undefined; next = this.unsent[0]) {
      const n = writeSome(this.port.wire.fd, next);
      if (n === -EAGAIN) break;
      if (n < 0) {
        this.unsent = [];
        break;
      }
      if (n === next.byteLength) this.unsent.shift();
      else this.unsent[0] = next.subarray(n);
    }
    const reading = this.watch.events & POLLIN;
    this.watch.events = this.unsent.length > 0 ? reading | POLLOUT : reading;
  }

  private read(): void {
    const chunk = new Uint8Array(256 * 1024);
    const n = readSome(this.port.wire.fd, chunk);
    if (n === 0) this.watch.events = 0;
    if (n <= 0) return;
    const at = performance.now();
    const all = bytesJoined(this.taken, chunk.subarray(0, n));
    const view = new DataView(all.buffer);
    let from = 0;
    while (all.byteLength - from >= LENGTH_BYTES) {
      const size = view.getUint32(from);
      if (all.byteLength - from - LENGTH_BYTES < size) break;
      this.received.push({ at, frame: all.slice(from + LENGTH_BYTES, from + LENGTH_BYTES + size) });
      from += LENGTH_BYTES + size;
    }
    this.taken = all.slice(from);
  }
}

const bytesJoined = (a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> => {
  const all = new Uint8Array(a.byteLength + b.byteLength);
  all.set(a);
  all.set(b, a.byteLength);
  return all;
};

export const pair = (
  from: { readonly id: number },
  to: { readonly id: number },
  impairment: Impairment,
  cut = false,
): PlannedPair => ({
  from: from.id,
  to: to.id,
  cut,
  impairment,
});

/** A switch with one bridge; closes itself and everything on it. */
export class Lab implements Disposable {
  readonly reactor = new Reactor();
  readonly backend: UserBackend;
  readonly bridge: BackendBridge;
  private readonly nics: Nic[] = [];

  constructor(mtu = 1500, gateway?: string | Gateway, helper = HELPER) {
    const control = SwitchControl.start({ reactor: this.reactor, env: process.env, helper });
    this.backend = new UserBackend(control);
    this.bridge = this.openBridge("lan", mtu, gateway);
  }

  run<T>(op: Op<T>): T {
    return this.reactor.run(op);
  }

  openBridge(name: string, mtu = 1500, own?: string | Gateway): BackendBridge {
    const gateway = typeof own === "string" ? { ipv4: own } : own;
    return this.run(this.backend.openBridge({ name, mtu, gateway }));
  }

  nic(name = `nic${this.nics.length}`, bridge = this.bridge): Nic {
    const address = mac(this.nics.length + 1);
    const text = [...address].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
    const nic = new Nic(this.reactor, this.run(bridge.openPort(name, text)), address);
    this.nics.push(nic);
    return nic;
  }

  /** Cards that have all been heard of, so that nothing is flooded between them any more. */
  known(count: number): Nic[] {
    const nics = Array.from({ length: count }, () => this.nic());
    for (const nic of nics) nic.send(ethernet(BROADCAST, nic.mac, numbered(0)));
    for (const nic of nics) nic.await(count - 1);
    for (const nic of nics) nic.clear();
    return nics;
  }

  apply(pairs: readonly PlannedPair[], seed = 7n): void {
    const plan: Plan = { seed, pairs };
    this.run(this.bridge.apply(plan));
  }

  until(ready: () => boolean, what: string): void {
    if (!this.run(until(ready, after(WAIT_MS)))) throw new Error(`${what} did not come to pass`);
  }

  /** Sends numbered frames, few enough at a time for every queue; returns when the switch has served them all. */
  stream(from: Nic, to: Nic, count: number, size = 46): void {
    const before = this.run(from.port.counters()).txPackets;
    for (let sent = 0; sent < count; ) {
      const batch = Math.min(200, count - sent);
      from.send(
        ...Array.from({ length: batch }, (_, i) => ethernet(to.mac, from.mac, numbered(sent + i, size))),
      );
      sent += batch;
      while (this.run(from.port.counters()).txPackets < before + sent) this.reactor.turn(after(1));
    }
  }

  /** What of it has reached the other side: everything that the switch has given to the port. */
  settled(to: Nic, before = 0): Uint8Array[] {
    const { rxPackets } = this.run(to.port.counters());
    to.await(rxPackets - before);
    return to.frames;
  }

  [Symbol.dispose](): void {
    for (const nic of this.nics) nic.unplug();
    this.backend.close();
  }
}

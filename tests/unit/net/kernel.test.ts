/**
 * The kernel backend with real bridges, TAPs, rules and queues, frames of our own on the TAPs. Runs as root and as
 * anybody; what the kernel at hand lacks must be refused with the module's name. Rules for what it lacks are tried in a
 * guest (tests/vm/net/kernel_rules.test.lua).
 */

import { afterAll, beforeAll, test as claimed, describe, expect, setDefaultTimeout, spyOn } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HostError } from "../../../src/errors/errors.ts";
import type { BackendBridge, Impairment, Port } from "../../../src/net/backend.ts";
import { BRIDGE_PORT } from "../../../src/net/backend.ts";
import { openBackend } from "../../../src/net/choose.ts";
import { FramePort } from "../../../src/net/frames.ts";
import { KernelBackend } from "../../../src/net/kernel.ts";
import type { KernelFeature } from "../../../src/net/kernel-features.ts";
import { closeFd, EAGAIN, readSome, setNonBlocking } from "../../../src/sys/libc.ts";
import { after, all, type Op, sleep, until } from "../../../src/sys/op.ts";
import { POLLIN, Reactor } from "../../../src/sys/reactor.ts";
import { BROADCAST, ethernet, HELPER, mac, numbered, numberOf, WAIT_MS } from "./nics.ts";

setDefaultTimeout(120_000);

const MILLISECOND = 1_000_000;

/** A guest's side of a TAP. */
class Card {
  readonly received: { readonly at: number; readonly frame: Uint8Array }[] = [];
  private readonly wire: FramePort;

  constructor(
    reactor: Reactor,
    readonly port: Port,
    readonly mac: Uint8Array,
  ) {
    this.wire = new FramePort(port.wire, reactor, (frame) => {
      // The kernel's own noise, such as IPv6 neighbours, is none of ours.
      if (frame[12] === 0x88 && frame[13] === 0xb5) this.received.push({ at: performance.now(), frame });
    });
    closeFd(port.wire.fd);
  }

  get numbers(): number[] {
    return this.received.map(({ frame }) => numberOf(frame));
  }

  tell(to: Card, n: number, size = 46): void {
    this.wire.send(ethernet(to.mac, this.mac, numbered(n, size)));
  }

  send(frame: Uint8Array): void {
    this.wire.send(frame);
  }

  unplug(): void {
    this.wire.close();
  }
}

const directory = mkdtempSync(join(tmpdir(), "provium-kernel-"));
const reactor = new Reactor();
const run = <T>(op: Op<T>): T => reactor.run(op);
const wait = (ready: () => boolean): boolean => run(until(ready, after(WAIT_MS)));

let backend: KernelBackend;
/** Why this host cannot have it at all. */
let refused = "";
beforeAll(() => {
  try {
    const opened = run(openBackend("kernel", { reactor, env: process.env, helper: HELPER, directory }));
    if (opened instanceof KernelBackend) backend = opened;
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    refused = error.message;
  }
});
afterAll(() => {
  backend?.close();
  rmSync(directory, { recursive: true, force: true });
});

/** A claim about the backend, or about its refusal where the host has no namespaces or TAPs. */
const test = (title: string, claim: () => void): void =>
  claimed(title, () => {
    if (refused === "") return claim();
    console.log(`not asked: ${refused}`);
    expect(refused).toMatch(/^this host gives no network namespace: |needs? `--network user`$/);
  });

/** One bridge with cards that know one another. */
class Segment implements Disposable {
  readonly bridge: BackendBridge;
  readonly cards: Card[] = [];

  constructor(count: number, mtu = 1500, ipv4?: string) {
    const gateway = ipv4 === undefined ? undefined : { ipv4, ipv6: "fd00:0:0:9::1" };
    this.bridge = run(backend.openBridge({ name: "lan", mtu, gateway }));
    for (let n = 1; n <= count; n++) this.add(n);
    // A port of the kernel's bridge forwards a moment after it is up.
    for (const card of this.cards) {
      const others = this.cards.filter((other) => other !== card);
      const heard = (): boolean => {
        card.send(ethernet(BROADCAST, card.mac, numbered(0)));
        return others.every(({ received }) => received.some(({ frame }) => frame[11] === card.mac[5]));
      };
      expect(wait(heard)).toBe(true);
    }
    this.clear();
  }

  add(n: number): Card {
    const address = mac(n);
    const text = [...address].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
    const card = new Card(reactor, run(this.bridge.openPort(`card${n}`, text)), address);
    this.cards.push(card);
    return card;
  }

  /** From now on only new frames count: everything under way has come. */
  clear(): void {
    const [first, second] = this.cards as [Card, Card];
    for (const [from, to] of [
      [first, second],
      [second, first],
    ] as const) {
      from.tell(to, 0xffff_ffff);
      wait(() => to.numbers.includes(0xffff_ffff));
    }
    for (const { received } of this.cards) received.length = 0;
  }

  set(from: Card, to: Card, impairment: Impairment, cut = false): void {
    const pair = { from: from.port.id, to: to.port.id, cut, impairment };
    run(this.bridge.apply({ seed: 1n, pairs: [pair] }));
  }

  heal(): void {
    run(this.bridge.apply({ seed: 1n, pairs: [] }));
  }

  [Symbol.dispose](): void {
    for (const card of this.cards) card.unplug();
    run(this.bridge.close());
  }
}

/** Bounds of a binomial count that a right one leaves once in 10^8 runs. */
const spread = (n: number, p: number): number => 5.7 * Math.sqrt(n * p * (1 - p)) + 1;

/** Sends numbered frames, few enough at a time for every queue; what came, once nothing comes any more. */
const stream = (segment: Segment, from: Card, to: Card, count: number, size = 46): number[] => {
  for (let n = 0; n < count; n++) {
    from.tell(to, n, size);
    if (n % 10 === 9) reactor.turn(after(1));
  }
  const quiet = { count: -1, since: 0 };
  while (performance.now() - quiet.since < 400) {
    reactor.turn(after(50));
    if (to.received.length === quiet.count) continue;
    quiet.count = to.received.length;
    quiet.since = performance.now();
  }
  const numbers = to.numbers;
  segment.heal();
  segment.clear();
  return numbers;
};

/** Runs the claim where the kernel can do it; elsewhere it must refuse, naming what it lacks. */
const needing =
  (feature: KernelFeature, refusal: RegExp, setting: Impairment, claim: () => void): (() => void) =>
  () => {
    if (backend.features.has(feature)) return claim();
    using segment = new Segment(2);
    const [a, b] = segment.cards as [Card, Card];
    expect(() => segment.set(a, b, setting)).toThrow(refusal);
  };
const netem = (word: string, setting: Impairment, claim: () => void): (() => void) =>
  needing(
    "netem",
    new RegExp(`^this kernel has no sch_netem: ${word} needs \`--network user\`$`),
    setting,
    claim,
  );

describe("the kernel's bridge", () => {
  test("forwards by address, VLAN tags and jumbo frames included", () => {
    using segment = new Segment(3, 9000);
    const [a, b, c] = segment.cards as [Card, Card, Card];
    a.tell(b, 1);
    a.tell(b, 2, 9000);
    expect(wait(() => b.received.length === 2)).toBe(true);
    expect(b.received[1]?.frame.length).toBe(9014);
    expect(c.received).toEqual([]);
  });

  test("a cut holds in its own direction, and ends with the plan", () => {
    using segment = new Segment(3);
    const [a, b, c] = segment.cards as [Card, Card, Card];
    segment.set(a, b, {}, true);
    a.tell(b, 1);
    a.tell(c, 2);
    b.tell(a, 3);
    expect(wait(() => a.received.length === 1 && c.received.length === 1)).toBe(true);
    expect(b.received).toEqual([]);
    segment.heal();
    a.tell(b, 4);
    expect(wait(() => b.received.length === 1)).toBe(true);
    expect(b.numbers).toEqual([4]);
  });

  test("loss is that of the setting, and only in its direction", () => {
    using segment = new Segment(2);
    const [a, b] = segment.cards as [Card, Card];
    segment.set(a, b, { loss: 0.3 });
    expect(stream(segment, b, a, 500).length).toBe(500);
    segment.set(a, b, { loss: 0.3 });
    const count = 3000;
    const came = stream(segment, a, b, count).length;
    expect(Math.abs(came - 0.7 * count)).toBeLessThan(spread(count, 0.3));
  });

  test("a plan that is refused in part does not stand in the way of the next", () => {
    using segment = new Segment(2);
    const [a, b] = segment.cards as [Card, Card];
    const pair = (from: Card, to: Card, rateBps: number) => ({
      from: from.port.id,
      to: to.port.id,
      cut: false,
      impairment: { rateBps },
    });
    const refusedRate = { seed: 1n, pairs: [pair(b, a, 1e30), pair(a, b, 1e6)] };
    expect(() => run(segment.bridge.apply(refusedRate))).toThrow(HostError);
    segment.heal();
    expect(stream(segment, a, b, 10).length).toBe(10);
  });

  test("counters are the guest's", () => {
    using segment = new Segment(2);
    const [a, b] = segment.cards as [Card, Card];
    const before = [run(a.port.counters()), run(b.port.counters())] as const;
    stream(segment, a, b, 10, 100);
    const now = [run(a.port.counters()), run(b.port.counters())] as const;
    expect(now[0].txBytes - before[0].txBytes).toBeGreaterThanOrEqual(10 * 114);
    expect(now[1].rxPackets - before[1].rxPackets).toBeGreaterThanOrEqual(10);
    expect(now[0].errors + now[1].errors).toBe(0);
  });

  test("a capture of the whole bridge has what passes from one port to another", () => {
    using segment = new Segment(2);
    const [a, b] = segment.cards as [Card, Card];
    const source = run(segment.bridge.capture());
    setNonBlocking(source.fd);
    let recorded = 0;
    const watch = reactor.watch(source.fd, POLLIN, () => {
      const n = readSome(source.fd, new Uint8Array(65_536));
      if (n > 0) recorded += n;
      else if (n !== -EAGAIN) watch.close();
    });
    a.tell(b, 1, 1000);
    expect(wait(() => recorded >= 24 + 16 + 1014)).toBe(true);
    watch.close();
    run(source.close());
  });

  test("the gateway answers who looks for it", () => {
    using segment = new Segment(2, 1500, "10.77.0.1/24");
    const [a] = segment.cards as [Card];
    const source = run(segment.bridge.capture(a.port.id));
    setNonBlocking(source.fd);
    let recorded = 0;
    const watch = reactor.watch(source.fd, POLLIN, () => {
      const n = readSome(source.fd, new Uint8Array(65_536));
      if (n > 0) recorded += n;
      else if (n !== -EAGAIN) watch.close();
    });
    const question = [0, 1, 8, 0, 6, 4, 0, 1, ...a.mac, 10, 77, 0, 10, 0, 0, 0, 0, 0, 0, 10, 77, 0, 1];
    a.send(ethernet(BROADCAST, a.mac, question, 0x0806));
    // Header of the file, then question and answer with a header of 16 bytes each.
    expect(wait(() => recorded >= 24 + 2 * (16 + 42))).toBe(true);
    watch.close();
    run(source.close());
  });

  test(
    "a bandwidth limit holds within ten percent",
    needing("htb", /^this kernel has no sch_htb/, { rateBps: 1e6 }, () => {
      using segment = new Segment(2);
      const [a, b] = segment.cards as [Card, Card];
      const rateBps = 4_000_000;
      segment.set(a, b, { rateBps });
      const [count, size] = [300, 1486];
      for (let n = 0; n < count; n++) a.tell(b, n, size);
      expect(wait(() => b.received.length === count)).toBe(true);
      // The first go out of a full bucket. A busy host holds up some frames, so the median of many stretches counts.
      const stretch = 100;
      const seconds = b.received
        .slice(20, count - stretch)
        .map(({ at }, n) => (b.received[20 + n + stretch]!.at - at) / 1000)
        .toSorted((x, y) => x - y);
      const rate = (stretch * (size + 14) * 8) / seconds[seconds.length >> 1]!;
      expect(Math.abs(rate / rateBps - 1)).toBeLessThan(0.1);
    }),
  );

  test(
    "a latency delays its own direction by that much",
    netem("latency", { latencyNs: 1 }, () => {
      using segment = new Segment(3);
      const [a, b, c] = segment.cards as [Card, Card, Card];
      const ms = 100;
      segment.set(a, b, { latencyNs: ms * MILLISECOND });
      const delays: number[] = [];
      let sooner = 0;
      for (let n = 0; n < 15; n++) {
        const sent = performance.now();
        a.tell(b, n);
        a.tell(c, n);
        expect(wait(() => b.received.length === n + 1 && c.received.length === n + 1)).toBe(true);
        delays.push(b.received[n]!.at - sent);
        if (c.received[n]!.at < b.received[n]!.at) sooner++;
      }
      // On a busy host both may be there before anybody looks.
      expect(sooner).toBeGreaterThan(7);
      const least = Math.min(...delays);
      console.log(`latency of ${ms} ms: ${least.toFixed(2)} ms at least`);
      expect(least).toBeGreaterThanOrEqual(ms - 0.1);
      expect(least).toBeLessThan(ms * 1.05 + 1);
    }),
  );

  test(
    "duplicates are as many as set",
    netem("duplication", { duplicate: 0.5 }, () => {
      using segment = new Segment(2);
      const [a, b] = segment.cards as [Card, Card];
      segment.set(a, b, { duplicate: 0.25 });
      const came = stream(segment, a, b, 2000).length - 2000;
      expect(Math.abs(came - 500)).toBeLessThan(spread(2000, 0.25));
    }),
  );

  test(
    "with a latency a reordered frame overtakes those that wait",
    netem("reordering", { reorder: 0.2 }, () => {
      using segment = new Segment(2);
      const [a, b] = segment.cards as [Card, Card];
      segment.set(a, b, { reorder: 0.2, latencyNs: 200 * MILLISECOND });
      const numbers = stream(segment, a, b, 500);
      expect(numbers.length).toBe(500);
      expect(numbers.filter((n, i) => i > 0 && n < numbers[i - 1]!).length).toBeGreaterThan(5);
    }),
  );

  test(
    "damage is one bit in as many frames as set",
    netem("corruption", { corrupt: 0.2 }, () => {
      using segment = new Segment(2);
      const [a, b] = segment.cards as [Card, Card];
      segment.set(a, b, { corrupt: 1 });
      const sent = ethernet(b.mac, a.mac, new Uint8Array(1000));
      let differing = 0;
      for (let n = 0; n < 40; n++) a.send(sent);
      wait(() => b.received.length >= 30);
      for (const { frame } of b.received)
        for (const [i, byte] of frame.entries())
          if (byte !== sent[i]) differing += Math.log2(byte ^ sent[i]!) % 1 === 0 ? 1 : 99;
      expect(differing).toBe(b.received.length);
    }),
  );

  test(
    "latency, loss and rate of different pairs hold together",
    netem("latency", { latencyNs: 1 }, () => {
      using segment = new Segment(3);
      const [a, b, c] = segment.cards as [Card, Card, Card];
      const between = (from: Card, to: Card, impairment: Impairment, cut = false) => ({
        from: from.port.id,
        to: to.port.id,
        cut,
        impairment,
      });
      run(
        segment.bridge.apply({
          seed: 1n,
          pairs: [
            between(a, c, { latencyNs: 1_500 * MILLISECOND, rateBps: 1e8 }),
            between(b, c, { latencyNs: 50 * MILLISECOND }),
            between(a, b, {}, true),
          ],
        }),
      );
      a.tell(c, 1);
      b.tell(c, 2);
      a.tell(b, 3);
      c.tell(b, 4);
      expect(wait(() => c.received.length === 2 && b.received.length === 1)).toBe(true);
      expect(c.numbers).toEqual([2, 1]);
      expect(b.numbers).toEqual([4]);
    }),
  );

  test("what comes to the bridge itself can be cut, not delayed", () => {
    using segment = new Segment(2, 1500, "10.78.0.1/24");
    const [a] = segment.cards as [Card];
    const pair = { from: a.port.id, to: BRIDGE_PORT, cut: true, impairment: {} };
    expect(() => run(segment.bridge.apply({ seed: 1n, pairs: [pair] }))).not.toThrow();
  });

  test("routes that are asked for side by side all hold, whichever `nft` is slow", () => {
    const bridges = ["1", "2", "3"].map((n) =>
      run(backend.openBridge({ name: n, mtu: 1500, gateway: { ipv4: `10.79.${n}.1/24` } })),
    ) as [BackendBridge, BackendBridge, BackendBridge];
    const [left, middle, right] = bridges;
    const { namespace } = backend;
    const batch = namespace.batch.bind(namespace);
    const slow = spyOn(namespace, "batch").mockImplementationOnce(function* (tool, lines) {
      yield* sleep(300);
      yield* batch(tool, lines);
    });
    try {
      run(all([backend.route(left, middle, true), backend.route(middle, right, true)]));
    } finally {
      slow.mockRestore();
    }
    const rules = run(namespace.run(["nft", "list", "table", "inet", "provium"]));
    for (const bridge of bridges) run(bridge.close());
    expect(rules.match(/ accept$/gm)?.length).toBe(4);
  });

  test("a closed bridge takes its devices along", () => {
    const before = run(backend.namespace.run(["ip", "-o", "link"])).split("\n").length;
    {
      using segment = new Segment(2);
      expect(segment.cards.length).toBe(2);
    }
    expect(run(backend.namespace.run(["ip", "-o", "link"])).split("\n").length).toBe(before);
  });

  test("a command that fails says what the tool said", () => {
    expect(() => run(backend.namespace.batch("ip", ["link set dev ghost up"]))).toThrow(HostError);
    expect(() => run(backend.namespace.batch("ip", ["link set dev ghost up"]))).toThrow(/ip failed .*ghost/s);
  });
});

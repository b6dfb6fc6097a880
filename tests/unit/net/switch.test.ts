import { describe, expect, test } from "bun:test";
import { closeFd, readSome, socketPair, writeSome } from "../../../src/sys/libc.ts";
import { after } from "../../../src/sys/op.ts";
import { sendWithDescriptor } from "../../../src/sys/passing.ts";
import { spawn } from "../../../src/sys/process.ts";
import { Reactor } from "../../../src/sys/reactor.ts";
import { BROADCAST, bytes, ethernet, HELPER, Lab, mac, numbered, numberOf, pair, WAIT_MS } from "./nics.ts";

const MILLISECOND = 1_000_000;
/** Bounds of a binomial count that a right one leaves once in 10^8 runs. */
const binomial = (n: number, p: number): { least: number; most: number } => {
  const spread = 5.7 * Math.sqrt(n * p * (1 - p)) + 1;
  return { least: n * p - spread, most: n * p + spread };
};
const within = (value: number, { least, most }: { least: number; most: number }): void => {
  expect(value).toBeGreaterThanOrEqual(least);
  expect(value).toBeLessThanOrEqual(most);
};

describe("forwarding", () => {
  test("a frame to an unknown address reaches every other port, one to a known address only its own", () => {
    using lab = new Lab();
    const [a, b, c] = [lab.nic(), lab.nic(), lab.nic()];
    a.tell(b, 1);
    b.await(1);
    c.await(1);
    b.tell(a, 2);
    a.await(1);
    a.tell(b, 3);
    b.await(2);
    a.send(ethernet(BROADCAST, a.mac, numbered(4)));
    b.await(3);
    c.await(2);
    expect(b.frames.map(numberOf)).toEqual([1, 3, 4]);
    expect(c.frames.map(numberOf)).toEqual([1, 4]);
    expect(a.frames.map(numberOf)).toEqual([2]);
  });

  test("broadcasts and multicasts reach all others and never come back", () => {
    using lab = new Lab();
    const [a, b, c] = lab.known(3);
    a!.send(ethernet(BROADCAST, a!.mac, numbered(1)));
    a!.send(ethernet(Uint8Array.of(1, 0, 0x5e, 0, 0, 1), a!.mac, numbered(2)));
    b!.await(2);
    c!.await(2);
    b!.tell(a!, 3);
    a!.await(1);
    expect(a!.frames.map(numberOf)).toEqual([3]);
  });

  test("PAUSE frames end at the port", () => {
    using lab = new Lab();
    const [a, b] = lab.known(2);
    a!.send(ethernet(Uint8Array.of(1, 0x80, 0xc2, 0, 0, 1), a!.mac, numbered(1), 0x8808));
    a!.tell(b!, 2);
    b!.await(1);
    expect(b!.frames.map(numberOf)).toEqual([2]);
  });

  test("an address that moves to another port is found there", () => {
    using lab = new Lab();
    const [a, b, c] = lab.known(3);
    c!.send(ethernet(a!.mac, b!.mac, numbered(1)));
    a!.await(1);
    a!.tell(b!, 2);
    c!.await(1);
    expect(b!.frames).toEqual([]);
  });

  test("VLAN tags and frames of 64 KiB pass unchanged", () => {
    using lab = new Lab(65_535);
    const [a, b] = lab.known(2);
    const tagged = ethernet(b!.mac, a!.mac, bytes([0x20, 0x64, 0x08, 0x00], numbered(1, 60)), 0x8100);
    const jumbo = ethernet(
      b!.mac,
      a!.mac,
      Uint8Array.from({ length: 65_535 }, (_, i) => (i * 31) & 255),
    );
    a!.send(tagged, jumbo, tagged);
    b!.await(3);
    expect(b!.frames).toEqual([tagged, jumbo, tagged]);
  });

  test("a frame longer than the MTU and a VLAN tag is dropped and counted", () => {
    using lab = new Lab(1500);
    const [a, b] = lab.known(2);
    a!.send(ethernet(b!.mac, a!.mac, numbered(1, 1505)), ethernet(b!.mac, a!.mac, numbered(2, 1504)));
    b!.await(1);
    expect(b!.frames.map(numberOf)).toEqual([2]);
    expect(lab.run(a!.port.counters()).errors).toBe(1);
  });

  test("counters are the guest's: what it sent is tx, what reached it is rx", () => {
    using lab = new Lab();
    const [a, b] = lab.known(2);
    const before = lab.run(a!.port.counters());
    a!.tell(b!, 1, 100);
    b!.await(1);
    b!.tell(a!, 2, 50);
    a!.await(1);
    const now = lab.run(a!.port.counters());
    expect([now.txPackets - before.txPackets, now.txBytes - before.txBytes]).toEqual([1, 114]);
    expect([now.rxPackets - before.rxPackets, now.rxBytes - before.rxBytes]).toEqual([1, 64]);
  });

  test("sixty-four cards on one bridge: everybody gets what is for all, and only its own of the rest", () => {
    using lab = new Lab();
    const cards = lab.known(64);
    const next = (n: number) => cards[(n + 1) % cards.length]!;
    for (const [n, card] of cards.entries()) {
      card.send(ethernet(BROADCAST, card.mac, numbered(n)));
      card.tell(next(n), 1000 + n);
    }
    for (const card of cards) card.await(64);
    for (const [n, card] of cards.entries()) {
      const own = card.frames.map(numberOf).sort((a, b) => a - b);
      const others = [...cards.keys()].filter((other) => other !== n);
      expect(own).toEqual([...others, 1000 + ((n + 63) % 64)]);
    }
  });

  test("two bridges do not see each other's frames", () => {
    using lab = new Lab();
    const other = lab.openBridge("other");
    const [a, b, c] = [lab.nic(), lab.nic(), lab.nic("c", other)];
    const d = lab.nic("d", other);
    a.send(ethernet(BROADCAST, a.mac, numbered(1)));
    b.await(1);
    c.send(ethernet(BROADCAST, c.mac, numbered(2)));
    d.await(1);
    expect(d.frames.map(numberOf)).toEqual([2]);
    expect(b.frames.map(numberOf)).toEqual([1]);
  });
});

describe("impairments", () => {
  test("a cut holds in its own direction only, and ends with the plan", () => {
    using lab = new Lab();
    const [a, b] = lab.known(2);
    lab.apply([pair(a!, b!, {}, true)]);
    a!.tell(b!, 1);
    b!.tell(a!, 2);
    a!.await(1);
    lab.apply([]);
    a!.tell(b!, 3);
    b!.await(1);
    expect(b!.frames.map(numberOf)).toEqual([3]);
  });

  const COUNT = 4000;
  const lossPattern = (seed: bigint, others = 0, latencyNs = 0): number[] => {
    using lab = new Lab();
    const [a, b, c, d] = lab.known(4);
    const before = lab.run(b!.port.counters()).rxPackets;
    lab.apply([pair(a!, b!, { loss: 0.3, latencyNs }), pair(c!, d!, { loss: 0.5 })], seed);
    lab.stream(c!, d!, others);
    lab.stream(a!, b!, COUNT);
    if (latencyNs > 0) lab.apply([], seed);
    return lab.settled(b!, before).map(numberOf);
  };

  test("losses stay within binomial bounds, and the same seed loses the same frames", () => {
    const first = lossPattern(42n);
    within(COUNT - first.length, binomial(COUNT, 0.3));
    expect(lossPattern(42n)).toEqual(first);
    expect(lossPattern(43n)).not.toEqual(first);
  });

  test("neither another pair's traffic nor a latency changes which frames are lost", () => {
    const first = lossPattern(42n);
    expect(lossPattern(42n, 77)).toEqual(first);
    expect(lossPattern(42n, 0, 20 * MILLISECOND)).toEqual(first);
  });

  test("a plan that repeats a pair goes on with its random numbers, a change starts them over", () => {
    const pattern = (between: (lab: Lab, set: (loss: number) => void) => void): number[] => {
      using lab = new Lab();
      const [a, b] = lab.known(2);
      const before = lab.run(b!.port.counters()).rxPackets;
      const set = (loss: number): void => lab.apply([pair(a!, b!, { loss })], 9n);
      set(0.5);
      lab.stream(a!, b!, 300);
      between(lab, set);
      lab.stream(a!, b!, 300);
      return lab.settled(b!, before).map(numberOf);
    };
    const plain = pattern(() => {});
    expect(pattern((_, set) => set(0.5))).toEqual(plain);
    const restarted = pattern((lab, set) => {
      lab.apply([]);
      set(0.5);
    });
    const half = restarted.length / 2;
    expect(restarted.slice(half)).toEqual(restarted.slice(0, half));
  });

  test("a latency delays its own direction by that much, and frames of other pairs do not wait", () => {
    using lab = new Lab();
    const [a, b, c] = lab.known(3);
    // Longer than a busy host keeps this process from looking.
    const latency = 1000;
    lab.apply([pair(a!, b!, { latencyNs: latency * MILLISECOND })]);
    const sent = performance.now();
    a!.tell(b!, 1);
    a!.tell(c!, 2);
    b!.tell(a!, 3);
    c!.await(1);
    a!.await(1);
    expect(b!.received).toEqual([]);
    b!.await(1);
    expect(b!.received[0]!.at - sent).toBeGreaterThanOrEqual(latency);
    expect(c!.received[0]!.at).toBeLessThan(b!.received[0]!.at);
  });

  test("jitter spreads the delays and keeps the order", () => {
    using lab = new Lab();
    const [a, b] = lab.known(2);
    lab.apply([pair(a!, b!, { latencyNs: 30 * MILLISECOND, jitterNs: 30 * MILLISECOND })]);
    const delays: number[] = [];
    for (let i = 0; i < 20; i++) {
      b!.clear();
      const sent = performance.now();
      a!.tell(b!, i);
      b!.await(1);
      delays.push(b!.received[0]!.at - sent);
    }
    expect(Math.max(...delays) - Math.min(...delays)).toBeGreaterThan(10);
    b!.clear();
    lab.stream(a!, b!, 200);
    b!.await(200);
    expect(b!.frames.map(numberOf)).toEqual(Array.from({ length: 200 }, (_, i) => i));
  });

  test("more than a rate can carry is dropped and counted, not kept", () => {
    using lab = new Lab();
    const [a, b] = lab.known(2);
    // So slow that it carries next to nothing, however long the frames take to come.
    lab.apply([pair(a!, b!, { rateBps: 10_000 })]);
    lab.stream(a!, b!, 1000, 1000);
    expect(lab.run(b!.port.counters()).errors).toBeGreaterThan(900);
  });

  test("duplicates follow their originals", () => {
    using lab = new Lab();
    const [a, b] = lab.known(2);
    lab.apply([pair(a!, b!, { duplicate: 1 })]);
    a!.tell(b!, 1);
    a!.tell(b!, 2);
    b!.await(4);
    expect(b!.frames.map(numberOf)).toEqual([1, 1, 2, 2]);
    const before = lab.run(b!.port.counters()).rxPackets;
    b!.clear();
    lab.apply([pair(a!, b!, { duplicate: 0.25 })]);
    lab.stream(a!, b!, 2000);
    within(lab.settled(b!, before).length - 2000, binomial(2000, 0.25));
  });

  test("without a latency a reordered frame lets the next one pass", () => {
    using lab = new Lab();
    const [a, b] = lab.known(2);
    lab.apply([pair(a!, b!, { reorder: 1 })]);
    lab.stream(a!, b!, 6);
    b!.await(6);
    expect(b!.frames.map(numberOf)).toEqual([1, 0, 3, 2, 5, 4]);
    b!.clear();
    a!.tell(b!, 7);
    b!.await(1);
    expect(b!.frames.map(numberOf)).toEqual([7]);
  });

  test("with a latency a reordered frame overtakes those that wait", () => {
    using lab = new Lab();
    const [a, b] = lab.known(2);
    const before = lab.run(b!.port.counters()).rxPackets;
    lab.apply([pair(a!, b!, { reorder: 0.2, latencyNs: 300 * MILLISECOND })]);
    lab.stream(a!, b!, 500);
    b!.await(500);
    const numbers = lab.settled(b!, before).map(numberOf);
    const overtaken = numbers.filter((n, i) => i > 0 && n < numbers[i - 1]!).length;
    expect(overtaken).toBeGreaterThan(0);
    expect(numbers.toSorted((x, y) => x - y)).toEqual(Array.from({ length: 500 }, (_, i) => i));
  });

  test("a corrupted frame differs in one bit behind its header", () => {
    using lab = new Lab();
    const [a, b] = lab.known(2);
    lab.apply([pair(a!, b!, { corrupt: 1 })]);
    const sent = ethernet(b!.mac, a!.mac, numbered(1, 200));
    a!.send(sent);
    b!.await(1);
    const came = b!.frames[0]!;
    const flipped = [...came].flatMap((byte, i) => (byte === sent[i] ? [] : [{ i, bits: byte ^ sent[i]! }]));
    expect(flipped.length).toBe(1);
    expect(flipped[0]!.i).toBeGreaterThanOrEqual(14);
    expect(Math.log2(flipped[0]!.bits) % 1).toBe(0);
  });

  test("frames under way arrive at once when the latency ends, and never when the pair is cut", () => {
    using lab = new Lab();
    const [a, b] = lab.known(2);
    const slow = pair(a!, b!, { latencyNs: 3_600_000 * MILLISECOND });
    lab.apply([slow]);
    a!.tell(b!, 1);
    lab.stream(a!, b!, 1);
    lab.apply([]);
    b!.await(2);
    lab.apply([slow]);
    lab.stream(a!, b!, 1);
    expect(lab.run(lab.backend.state()).flight_bytes).toBeGreaterThan(0);
    lab.apply([pair(a!, b!, {}, true)]);
    expect(lab.run(lab.backend.state()).flight_bytes).toBe(0);
    lab.apply([]);
    a!.tell(b!, 9);
    b!.await(3);
    expect(numberOf(b!.frames[2]!)).toBe(9);
  });
});

describe("what the other side cannot do", () => {
  test("who floods a port leaves room for others, and memory stays bounded", () => {
    using lab = new Lab();
    const [flooder, quiet, victim] = lab.known(3);
    victim!.stall();
    const frame = ethernet(victim!.mac, flooder!.mac, numbered(1_000_000, 1400));
    const burst = Array.from({ length: 64 }, () => frame);
    const before = lab.run(lab.backend.state()).rss_bytes!;
    const flooded = (packets: number): void => {
      const start = lab.run(flooder!.port.counters()).txPackets;
      while (lab.run(flooder!.port.counters()).txPackets < start + packets) {
        if (flooder!.waiting === 0) flooder!.send(...burst);
        lab.reactor.turn(0);
      }
    };
    flooded(20_000);
    for (let i = 0; i < 20; i++) {
      quiet!.tell(victim!, i, 1000);
      flooded(500);
    }
    const state = lab.run(lab.backend.state());
    expect(lab.run(victim!.port.counters()).errors).toBeGreaterThan(10_000);
    expect(state.queued_bytes).toBeLessThanOrEqual(1024 * 1024);
    expect(state.rss_bytes! - before).toBeLessThan(32 * 1024 * 1024);
    victim!.resume();
    lab.until(
      () => victim!.frames.filter((came) => numberOf(came) < 20).length === 20,
      "the quiet one's frames",
    );
  });

  test("frames under way in a slow pair are bounded too", () => {
    using lab = new Lab(65_535);
    const [a, b] = lab.known(2);
    lab.apply([pair(a!, b!, { latencyNs: 3_600_000 * MILLISECOND })]);
    lab.stream(a!, b!, 1600, 60_000);
    expect(lab.run(lab.backend.state()).flight_bytes).toBeLessThanOrEqual(64 * 1024 * 1024);
    expect(lab.run(b!.port.counters()).errors).toBeGreaterThan(0);
  });

  test("a guest with a hundred thousand addresses does not push out the others'", () => {
    using lab = new Lab();
    const [a, b, liar] = lab.known(3);
    const to = Uint8Array.of(0x52, 0x54, 0xff, 0, 0, 1);
    for (let i = 0; i < 100_000; i += 500) {
      liar!.send(...Array.from({ length: 500 }, (_, k) => ethernet(to, mac(0x10000 + i + k), numbered(0))));
      lab.run(liar!.port.counters());
      a!.clear();
      b!.clear();
    }
    lab.until(() => liar!.waiting === 0, "the last lie");
    lab.until(() => lab.run(liar!.port.counters()).txPackets > 100_000, "the last lie's arrival");
    expect(lab.run(lab.backend.state()).learned).toBeLessThanOrEqual(2048);
    liar!.clear();
    a!.tell(b!, 77);
    lab.until(() => b!.frames.some((frame) => numberOf(frame) === 77), "the frame");
    liar!.tell(a!, 78);
    lab.until(() => a!.frames.some((frame) => numberOf(frame) === 78), "the frame behind it");
    expect(liar!.frames.map(numberOf)).not.toContain(77);
  });

  test("a port that breaks the framing falls silent, and the others go on", () => {
    using lab = new Lab();
    const [a, b, c] = lab.known(3);
    c!.sendRaw(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 1, 2, 3));
    lab.until(() => lab.run(c!.port.counters()).errors === 1, "the end of the port");
    c!.tell(a!, 1);
    a!.tell(b!, 2);
    b!.await(1);
    expect(a!.frames).toEqual([]);
    lab.run(c!.port.close());
    expect(lab.run(lab.backend.state()).ports).toBe(2);
  });

  test("frames too short to be any are counted, however they are cut", () => {
    using lab = new Lab();
    const [a, b] = lab.known(2);
    a!.send(new Uint8Array(0), new Uint8Array(13));
    const whole = ethernet(b!.mac, a!.mac, numbered(5));
    const raw = bytes([0, 0, 0, whole.byteLength], whole);
    for (let i = 0; i < raw.byteLength; i++) {
      a!.sendRaw(raw.subarray(i, i + 1));
      lab.run(a!.port.counters());
    }
    b!.await(1);
    expect(b!.frames).toEqual([whole]);
    expect(lab.run(a!.port.counters()).errors).toBe(2);
  });

  test("random bytes on every port do no harm under the sanitizers", () => {
    using lab = new Lab(1500, "10.9.8.1/24");
    let state = 20260101;
    const random = (below: number): number => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state % below;
    };
    for (let round = 0; round < 60; round++) {
      const nic = lab.nic();
      const gateway = Uint8Array.of(2, 0x50, 10, 9, 8, 1);
      for (let i = 0; i < 50; i++) {
        const junk = Uint8Array.from({ length: random(120) }, () => random(256));
        const types = [0x0800, 0x0806, 0x8100, 0x86dd];
        nic.send(ethernet(random(2) === 0 ? gateway : BROADCAST, nic.mac, junk, types[random(4)]));
        if (random(3) === 0) nic.send(junk);
      }
      nic.sendRaw(Uint8Array.from({ length: 1 + random(40) }, () => random(256)));
      lab.run(nic.port.counters());
      if (random(2) === 0) lab.run(nic.port.close());
    }
    expect(lab.backend.death).toBeUndefined();
  });
});

describe("life and death", () => {
  test("what is closed leaves nothing behind", () => {
    using lab = new Lab();
    const before = lab.run(lab.backend.state());
    const bridge = lab.openBridge("gone");
    const [a, b] = [lab.nic("a", bridge), lab.nic("b", bridge)];
    const plan = {
      seed: 1n,
      pairs: [pair(a, b, { latencyNs: 3_600_000 * MILLISECOND }), pair(b, a, {}, true)],
    };
    lab.run(bridge.apply(plan));
    const capture = lab.run(bridge.capture(a.id));
    a.send(ethernet(BROADCAST, a.mac, numbered(1)));
    lab.until(() => lab.run(lab.backend.state()).flight_bytes! > 0, "a frame under way");
    lab.run(a.port.close());
    lab.run(a.port.close());
    lab.run(capture.close());
    lab.run(bridge.close());
    lab.run(bridge.close());
    lab.run(b.port.close());
    const { rss_bytes: _, ...now } = lab.run(lab.backend.state());
    const { rss_bytes: __, ...then } = before;
    expect(now).toEqual(then);
  });

  test("a killed switch fails the next call with how it ended, and closing still works", () => {
    using lab = new Lab();
    const [a] = lab.known(2);
    process.kill(lab.backend.pid, 9);
    expect(() => lab.run(a!.port.counters())).toThrow("the network switch ended with signal 9");
    expect(lab.backend.death?.message).toContain("signal 9");
    expect(() => lab.run(lab.backend.openBridge({ name: "x", mtu: 1500 }))).toThrow("signal 9");
    lab.run(a!.port.close());
    lab.run(lab.bridge.close());
  });

  test("the switch ends with its control socket, holding nothing that the leak sanitizer would tell of", () => {
    const reactor = new Reactor();
    const [ours, theirs] = socketPair();
    const [port, other] = socketPair();
    const options = {
      program: HELPER,
      args: ["switch"],
      env: process.env,
      descriptors: [{ from: theirs, to: 3 }],
    };
    const child = spawn(options, reactor);
    closeFd(theirs);
    const frame = (kind: number, ...payload: Uint8Array[]) =>
      bytes([0, 0, 0, 4 + bytes(...payload).byteLength, 0x94, kind, 0, 1], ...payload);
    // BRIDGE_OPEN 1, PORT_OPEN 1 on it, a request that no table has, and half a frame.
    writeSome(ours, frame(16, bytes([0x94, 1, 0xcd, 0x05, 0xdc, 0xc4, 0, 0])));
    sendWithDescriptor(ours, frame(18, bytes([0x93, 1, 1, 0xc4, 1, 0x61])), other);
    writeSome(ours, bytes(frame(99, bytes([0x90])), [0, 0, 1]));
    closeFd(other);
    closeFd(ours);
    const exit = reactor.run(child.wait(after(WAIT_MS)));
    expect({ exit, said: child.output() }).toEqual({ exit: { how: "exited", code: 0 }, said: "" });
    expect(readSome(port, new Uint8Array(16))).toBe(0);
    closeFd(port);
    child.close();
  });

  test("what cannot be is refused with a reason", () => {
    using lab = new Lab();
    const [a, b] = lab.known(2);
    const refused = (what: () => unknown): string => {
      try {
        what();
        return "accepted";
      } catch (error) {
        return (error as Error).message;
      }
    };
    const apply = (pairs: Parameters<Lab["apply"]>[0]) => refused(() => lab.apply(pairs));
    const there = { from: a!.id, to: b!.id, cut: false };
    expect(apply([{ ...there, to: 99, impairment: {} }])).toContain("a port that is not there");
    expect(apply([{ ...there, to: a!.id, impairment: {} }])).toContain("the same port twice");
    expect(apply([{ ...there, impairment: { loss: 1.5 } }])).toContain("not within 0 to 2^32");
    expect(apply([{ ...there, impairment: { latencyNs: -1 } }])).toContain("not within 0 to an hour");
    expect(apply([{ ...there, impairment: { rateBps: -1 } }])).toContain("a rate is negative");
    expect(refused(() => lab.openBridge("tiny", 60))).toContain("the MTU is not within 68 to 65535");
    expect(refused(() => lab.openBridge("odd", 1500, "10.0.0.1"))).toContain('got "10.0.0.1"');
    expect(refused(() => lab.run(lab.bridge.capture(5)))).toContain("no such port");
    const other = lab.openBridge("other");
    expect(refused(() => lab.run(lab.backend.route(lab.bridge, other, true)))).toContain("without address");
    expect(lab.run(lab.backend.state()).pairs).toBe(0);
  });

  test("257 ports are one too many for a bridge", () => {
    using lab = new Lab();
    for (let i = 0; i < 256; i++) lab.nic();
    expect(() => lab.nic()).toThrow("the bridge has no free port");
    expect(lab.run(lab.backend.state()).ports).toBe(256);
  });
});

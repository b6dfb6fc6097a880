/**
 * The figures of the channel, each next to its floor, measured in turns within one run.
 */

import type { Channel } from "../../../src/channel/channel.ts";
import type { Guest } from "../../../src/lab/ports.ts";
import { type Op, until } from "../../../src/sys/op.ts";
import type { Reactor } from "../../../src/sys/reactor.ts";

export interface Figure {
  readonly name: string;
  readonly unit: string;
  readonly measured: number;
  readonly floor: number;
  /** measured / floor for times, the same for throughputs. */
  readonly ratio: number;
  /** The bound that the ratio is to keep: at most for times, at least for throughputs. */
  readonly bound: string;
}

export interface Bench {
  readonly reactor: Reactor;
  readonly guest: Guest;
  /** A channel of the same kind with peer.c behind it. */
  readonly peer: Channel;
  /** Static program that ends at once, in the guest. */
  readonly trivial: string;
  /** Guest file that may be written. */
  readonly file: string;
  readonly calls: number;
  readonly megabytes: number;
  readonly rounds: number;
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const PIECE = 512 * 1024;

/** What peer.c says, frame by frame. */
class Peer {
  private frames = 0;
  private received = 0;
  private reason: Error | undefined;

  constructor(private readonly channel: Channel) {
    channel.listen({
      frame: (body) => {
        this.frames++;
        this.received += body.byteLength;
      },
      closed: (reason) => {
        this.reason = reason;
      },
    });
  }

  *ask(...body: Uint8Array[]): Op<void> {
    const before = this.frames;
    this.channel.send(...body);
    yield* until(() => this.frames > before || this.reason !== undefined);
    if (this.reason !== undefined) throw this.reason;
  }

  /** Sends `total` bytes in pieces of PIECE and waits until the peer has read them. */
  *sink(data: Uint8Array): Op<void> {
    for (let at = 0; at < data.byteLength; at += PIECE) {
      this.channel.send(bytes("S"), data.subarray(at, at + PIECE));
      yield* this.channel.drained(8 * PIECE);
    }
    yield* this.ask(bytes("F"));
  }

  *source(total: number): Op<void> {
    const goal = this.received + total;
    const ask = Buffer.alloc(9);
    ask.write("G");
    ask.writeUInt32BE(total / PIECE, 1);
    ask.writeUInt32BE(PIECE, 5);
    this.channel.send(ask);
    yield* until(() => this.received >= goal || this.reason !== undefined);
    if (this.reason !== undefined) throw this.reason;
  }
}

const percentile = (sorted: Float64Array, share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] as number;

/** Microseconds of each call, the two kinds in turns of ten so that both see the same machine. */
const compare = (bench: Bench, calls: number, one: () => Op<unknown>, other: () => Op<unknown>) => {
  const times = [new Float64Array(calls), new Float64Array(calls)] as const;
  const ops = [one, other] as const;
  for (const op of ops) for (let i = 0; i < 50; i++) bench.reactor.run(op());
  for (let at = 0; at < calls; at += 10)
    for (const which of [0, 1] as const)
      for (let i = at; i < Math.min(calls, at + 10); i++) {
        const start = performance.now();
        bench.reactor.run(ops[which]());
        times[which][i] = (performance.now() - start) * 1000;
      }
  for (const list of times) list.sort();
  return times;
};

const latency = (
  bench: Bench,
  name: string,
  calls: number,
  one: () => Op<unknown>,
  floor: () => Op<unknown>,
) => {
  const [mine, theirs] = compare(bench, calls, one, floor);
  return [0.5, 0.99].map((share): Figure => {
    const measured = percentile(mine, share);
    const least = percentile(theirs, share);
    const label = share === 0.5 ? "p50" : "p99";
    return {
      name: `${name} ${label}`,
      unit: "µs",
      measured,
      floor: least,
      ratio: measured / least,
      bound: "≤ 1.5",
    };
  });
};

/** Best of several rounds in MB/s: fresh memory of the host would otherwise be what is measured. */
const throughput = (
  bench: Bench,
  name: string,
  mine: () => Op<unknown>,
  floor: () => Op<unknown>,
): Figure => {
  let measured = 0;
  let least = 0;
  const rate = (op: () => Op<unknown>): number => {
    Bun.gc(true);
    const start = performance.now();
    bench.reactor.run(op());
    return (bench.megabytes * 1000) / (performance.now() - start);
  };
  for (let i = 0; i < bench.rounds; i++) {
    measured = Math.max(measured, rate(mine));
    least = Math.max(least, rate(floor));
  }
  return { name, unit: "MiB/s", measured, floor: least, ratio: measured / least, bound: "≥ 0.7" };
};

export const measure = (bench: Bench): Figure[] => {
  const { guest } = bench;
  const peer = new Peer(bench.peer);
  const small = bytes("E2345678");
  /** The agent's system calls happen in a process beside the one that has the channel. */
  const far = bytes("H2345678");
  const getpid = { nr: 39, args: [], bufs: [], ptrs: [], nested: [] };
  const command = {
    argv: [bytes(bench.trivial)],
    env: [],
    envClear: false,
    stdinOpen: false,
    timeoutMs: 0,
  };
  const data = new Uint8Array(bench.megabytes << 20).fill(0x5a);
  const file = bytes(bench.file);
  const figures = [
    ...latency(
      bench,
      "ECHO against a bare echo",
      bench.calls,
      () => guest.echo(small),
      () => peer.ask(small),
    ),
    ...latency(
      bench,
      "syscall(39) against a bare echo",
      bench.calls,
      () => guest.main.syscall(getpid),
      () => peer.ask(small),
    ),
    ...latency(
      bench,
      "syscall(39) against an echo of two processes",
      bench.calls,
      () => guest.main.syscall(getpid),
      () => peer.ask(far),
    ),
    ...latency(
      bench,
      "syscall(39) against ECHO",
      bench.calls,
      () => guest.main.syscall(getpid),
      () => guest.echo(small),
    ),
    ...latency(
      bench,
      'exec("true") against a bare fork-exec-wait',
      bench.calls,
      () => guest.main.run(command),
      () => peer.ask(bytes(`X${bench.trivial}`)),
    ),
    throughput(
      bench,
      "write of a file against a bare sink",
      () => guest.main.writeFile(file, data),
      () => peer.sink(data),
    ),
    throughput(
      bench,
      "read of a file against a bare source",
      () => guest.main.readFile(file),
      () => peer.source(data.byteLength),
    ),
  ];
  bench.reactor.run(guest.main.unlink(file));
  return figures;
};

export const table = (figures: readonly Figure[]): string =>
  figures
    .map(({ name, unit, measured, floor, ratio, bound }) => {
      const value = (number: number): string => number.toFixed(number < 100 ? 1 : 0).padStart(8);
      return `${name.padEnd(48)} ${value(measured)} ${value(floor)} ${unit.padEnd(6)} ${ratio.toFixed(2)} (${bound})`;
    })
    .join("\n");

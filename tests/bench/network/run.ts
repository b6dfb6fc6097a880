/**
 * The userland switch and the kernel's bridge against what is the least that could carry frames between two socket
 * pairs, a process that copies bytes from one to the other and looks at nothing, and against a bare socket pair. Rounds
 * alternate; medians and ratios are printed.
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Backend, BackendBridge, Impairment, Port } from "../../../src/net/backend.ts";
import { closeFd, readSome, setNonBlocking, writeSome } from "../../../src/sys/libc.ts";
import { all } from "../../../src/sys/op.ts";
import { median, quantile } from "../statistics.ts";
import { type Connection, Ways } from "./ways.ts";

const ROUNDS = Number(process.env.ROUNDS ?? 5);

const directory = mkdtempSync(join(tmpdir(), "provium-bench-"));
const ways = new Ways(directory);
const { reactor } = ways;
const kernel = ways.openKernel();
kernel?.close();

const planned =
  (impairment: Impairment) =>
  (bridge: BackendBridge): void =>
    reactor.run(bridge.apply({ seed: 1n, pairs: [{ from: 1, to: 2, cut: false, impairment }] }));

const WAYS: Readonly<Record<string, () => Connection>> = {
  "socket pair": () => ways.direct(),
  copier: () => ways.copier(),
  switch: () => ways.over(ways.openSwitch()),
  // A pair that draws for every frame and lets all pass, and one whose frames all wait.
  "switch, loss": () => ways.over(ways.openSwitch(), planned({ loss: 1e-9 })),
  "switch, latency": () => ways.over(ways.openSwitch(), planned({ latencyNs: 1 })),
  ...(kernel && { "kernel's bridge": () => ways.over(ways.openKernel() as Backend) }),
};

const withConnection = <T>(open: () => Connection, use: (connection: Connection) => T): T => {
  const connection = open();
  try {
    return use(connection);
  } finally {
    connection.close();
  }
};

const flow =
  (size: number, frames: number) =>
  (connection: Connection): number =>
    frames / Number(reactor.run(ways.cards(connection, ["flow", String(size), String(frames)])));

const throughput = (): void => {
  console.log(`frames of each size from one card to another, ${ROUNDS} rounds of each, medians`);
  for (const [size, frames] of [
    [64, 200_000],
    [1514, 200_000],
    [9014, 60_000],
    [65_535, 10_000],
  ] as const) {
    const rates = new Map<string, number[]>(Object.keys(WAYS).map((name) => [name, []]));
    for (let round = 0; round < ROUNDS; round++)
      for (const [name, open] of Object.entries(WAYS))
        rates.get(name)?.push(withConnection(open, flow(size, frames)));
    const floor = median(rates.get("copier") ?? []);
    for (const [name, values] of rates) {
      const rate = median(values);
      const gigabits = (rate * size * 8) / 1e9;
      console.log(
        `  ${String(size).padStart(5)} bytes  ${name.padEnd(16)} ${(rate / 1000).toFixed(0).padStart(5)} k frames/s  ${gigabits.toFixed(2).padStart(6)} Gbit/s  ${(rate / floor).toFixed(2)} of the copier`,
      );
    }
  }
};

const latency = (): void => {
  const compared = ["socket pair", "copier", "switch", "kernel's bridge"].filter((name) => name in WAYS);
  const rounds = new Map<string, number[]>(compared.map((name) => [name, []]));
  for (let round = 0; round < ROUNDS; round++)
    // Output beyond 8 KiB is not kept: few rounds at a time.
    for (const [name, times] of rounds)
      for (let part = 0; part < 10; part++)
        times.push(
          ...withConnection(WAYS[name]!, (connection) => reactor.run(ways.cards(connection, ["pong", "500"])))
            .split("\n")
            .slice(1)
            .map(Number),
        );
  console.log("a frame of 64 bytes there and back");
  for (const [name, values] of rounds)
    console.log(
      `  ${name.padEnd(16)} p50 ${(median(values) / 1000).toFixed(1).padStart(6)} µs   p99 ${(quantile(values, 0.99) / 1000).toFixed(1).padStart(7)} µs`,
    );
  const half = (name: string): number => median(rounds.get(name) ?? []) / 2000;
  console.log(
    `  the switch adds ${(half("switch") - half("socket pair")).toFixed(2)} µs each way to a socket pair, the copier ${(half("copier") - half("socket pair")).toFixed(2)} µs`,
  );
};

/** Makes the cards known: frame of card `n` to everybody, and all of them taken. */
const introduce = (ports: readonly Port[]): void => {
  for (const [n, { wire }] of ports.entries()) {
    setNonBlocking(wire.fd);
    const frame = new Uint8Array(64).fill(0xff, 4, 10);
    frame.set([0, 0, 0, 60], 0);
    frame.set([0x52, 0x54, 0, 0, 1, n], 10);
    writeSome(wire.fd, frame);
  }
  for (const { wire } of ports)
    for (let got = 0; got < 64 * (ports.length - 1); ) {
      const n = readSome(wire.fd, new Uint8Array(65_536));
      if (n > 0) got += n;
    }
};

const crowd = (): void => {
  const frames = 40_000;
  for (const flows of [1, 8]) {
    const rates: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const backend = ways.openSwitch();
      // A bridge for each flow: what 16 cards cost, without 14 of them getting what is for one.
      const pairs = Array.from({ length: flows }, () =>
        ways.openPorts(ways.openBridge(backend), 2).map(({ wire }) => wire.fd),
      ) as [number, number][];
      const began = performance.now();
      const flowing = pairs.map((ends) =>
        ways.cards({ kind: "stream", ends }, ["flow", "1514", String(frames)]),
      );
      reactor.run(all(flowing));
      rates.push((flows * frames) / ((performance.now() - began) / 1000));
      for (const fd of pairs.flat()) closeFd(fd);
      backend.close();
    }
    console.log(
      `  ${flows} flow(s) at once, ${2 * flows} ports: ${(median(rates) / 1000).toFixed(0)} k frames/s of 1514 bytes in all`,
    );
  }
  const fan: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const backend = ways.openSwitch();
    const ports = ways.openPorts(ways.openBridge(backend), 16);
    introduce(ports);
    const frame = new Uint8Array(1518).fill(0xff, 4, 10);
    frame.set([0, 0, 5, 0xea], 0);
    frame.set([0x52, 0x54, 0, 0, 1, 0], 10);
    const began = performance.now();
    const count = 2000;
    for (let sent = 0; sent < count; sent += 50) {
      for (let i = 0; i < 50; i++) writeSome(ports[0]!.wire.fd, frame);
      for (const { wire } of ports.slice(1))
        for (let got = 0; got < 50 * frame.byteLength; ) {
          const n = readSome(wire.fd, new Uint8Array(131_072));
          if (n > 0) got += n;
        }
    }
    fan.push((count * 15) / ((performance.now() - began) / 1000));
    for (const { wire } of ports) closeFd(wire.fd);
    backend.close();
  }
  console.log(
    `  broadcasts on one bridge of 16 ports: ${(median(fan) / 1000).toFixed(0)} k copies/s (one reader for all)`,
  );
};

const attach = (): void => {
  const backends: Readonly<Record<string, () => Backend>> = {
    switch: () => ways.openSwitch(),
    ...(kernel && { "kernel's bridge": () => ways.openKernel() as Backend }),
  };
  for (const [name, open] of Object.entries(backends)) {
    const began = performance.now();
    const backend = open();
    const bridge = ways.openBridge(backend);
    const first = performance.now() - began;
    const times: number[] = [];
    for (let i = 0; i < 50; i++) {
      const start = performance.now();
      const [port] = ways.openPorts(bridge, 1) as [Port];
      times.push(performance.now() - start);
      closeFd(port.wire.fd);
      reactor.run(port.close());
    }
    console.log(
      `  ${name.padEnd(16)} ${first.toFixed(1).padStart(6)} ms from nothing to the first bridge, ${median(times).toFixed(2).padStart(5)} ms a port`,
    );
    backend.close();
  }
};

try {
  throughput();
  latency();
  console.log("many at once");
  crowd();
  console.log("what standing up costs");
  attach();
} finally {
  rmSync(directory, { recursive: true, force: true });
}

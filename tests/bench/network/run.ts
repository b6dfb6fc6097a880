/**
 * The userland switch against what is the least that could carry frames between two socket pairs: a process that
 * copies bytes from one to the other and looks at nothing. Rounds of both alternate; medians and ratios are printed.
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { BackendBridge, Port } from "../../../src/net/backend.ts";
import { UserBackend } from "../../../src/net/switch.ts";
import { SwitchControl } from "../../../src/net/switch-control.ts";
import { closeFd, readSome, setNonBlocking, socketPair, writeSome } from "../../../src/sys/libc.ts";
import { after, all } from "../../../src/sys/op.ts";
import { type Child, spawn } from "../../../src/sys/process.ts";
import { Reactor } from "../../../src/sys/reactor.ts";
import { compile } from "../channel/compile.ts";
import { median, quantile } from "../statistics.ts";

const ROUNDS = Number(process.env.ROUNDS ?? 5);
const HELPER = resolve("build/agent/provium-helper");
/** As the ports of the switch have it. */
const BUFFER_BYTES = 512 * 1024;
const WAIT_MS = 120_000;

const directory = mkdtempSync(join(tmpdir(), "provium-bench-"));
const reactor = new Reactor();
const nics = join(directory, "nics");
const env = process.env;

const start = (args: readonly string[], a: number, b: number): Child =>
  spawn(
    {
      program: nics,
      args,
      env,
      descriptors: [
        { from: a, to: 3 },
        { from: b, to: 4 },
      ],
      helper: HELPER,
    },
    reactor,
  );

/** Runs the cards to their end and returns what they printed. */
const finish = function* (child: Child) {
  const exit = yield* child.wait(after(WAIT_MS));
  const said = child.output().trim();
  child.close();
  if (exit?.code !== 0) throw new Error(`nics: ${said || "did not end"}`);
  return said;
};

/** Something that connects two cards. */
interface Connection {
  readonly ends: readonly [number, number];
  close(): void;
}

const direct = (): Connection => {
  const ends = socketPair(BUFFER_BYTES);
  return { ends, close: () => ends.forEach(closeFd) };
};

const copier = (): Connection => {
  const [a, left] = socketPair(BUFFER_BYTES);
  const [b, right] = socketPair(BUFFER_BYTES);
  const child = start(["copy"], left, right);
  for (const fd of [left, right]) closeFd(fd);
  return {
    ends: [a, b],
    close: () => {
      for (const fd of [a, b]) closeFd(fd);
      child.close();
    },
  };
};

const openSwitch = (): UserBackend => new UserBackend(SwitchControl.start({ reactor, env, helper: HELPER }));
const openBridge = (backend: UserBackend): BackendBridge =>
  reactor.run(backend.openBridge({ name: "lan", mtu: 65_535 }));

const openPorts = (bridge: BackendBridge, count: number): Port[] =>
  Array.from({ length: count }, (_, i) => reactor.run(bridge.openPort(`nic${i}`, "52:54:00:00:00:00")));

const overSwitch = (impair?: (bridge: BackendBridge) => void): Connection => {
  const backend = openSwitch();
  const bridge = openBridge(backend);
  const [a, b] = openPorts(bridge, 2);
  impair?.(bridge);
  const ends = [a!.wire.fd, b!.wire.fd] as const;
  return {
    ends,
    close: () => {
      ends.forEach(closeFd);
      backend.close();
    },
  };
};

/** A pair that draws for every frame and lets all pass. */
const drawing = (bridge: BackendBridge): void =>
  reactor.run(
    bridge.apply({ seed: 1n, pairs: [{ from: 1, to: 2, cut: false, impairment: { loss: 1e-9 } }] }),
  );
const delaying = (bridge: BackendBridge): void =>
  reactor.run(
    bridge.apply({ seed: 1n, pairs: [{ from: 1, to: 2, cut: false, impairment: { latencyNs: 1 } }] }),
  );

const WAYS: Readonly<Record<string, () => Connection>> = {
  copier,
  switch: () => overSwitch(),
  "switch, loss": () => overSwitch(drawing),
  "switch, latency": () => overSwitch(delaying),
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
    frames / Number(reactor.run(finish(start(["flow", String(size), String(frames)], ...connection.ends))));

const throughput = (): void => {
  console.log(`frames of each size from one card to another, ${ROUNDS} rounds of each, medians`);
  for (const [size, frames] of [
    [64, 200_000],
    [1514, 200_000],
    [9014, 60_000],
    [65_549, 10_000],
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
  const count = 5000;
  const ways: Readonly<Record<string, () => Connection>> = { direct, copier, switch: () => overSwitch() };
  const rounds = new Map<string, number[]>(Object.keys(ways).map((name) => [name, []]));
  for (let round = 0; round < ROUNDS; round++)
    for (const [name, open] of Object.entries(ways)) {
      // Output beyond 8 KiB is not kept: few rounds at a time.
      for (let part = 0; part < count / 500; part++)
        rounds.get(name)?.push(
          ...withConnection(open, ({ ends }) => reactor.run(finish(start(["pong", "500"], ...ends))))
            .split("\n")
            .slice(1)
            .map(Number),
        );
    }
  console.log("a frame of 64 bytes there and back");
  for (const [name, values] of rounds)
    console.log(
      `  ${name.padEnd(8)} p50 ${(median(values) / 1000).toFixed(1).padStart(6)} µs   p99 ${(quantile(values, 0.99) / 1000).toFixed(1).padStart(7)} µs`,
    );
  const [bare, own] = [median(rounds.get("copier") ?? []), median(rounds.get("switch") ?? [])];
  console.log(`  the switch adds ${((own - bare) / 2000).toFixed(2)} µs a hop to the copier`);
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
      const backend = openSwitch();
      // A bridge for each flow: what 16 cards cost, without 14 of them getting what is for one.
      const ends = Array.from({ length: flows }, () =>
        openPorts(openBridge(backend), 2).map(({ wire }) => wire.fd),
      );
      const began = performance.now();
      reactor.run(all(ends.map(([a, b]) => finish(start(["flow", "1514", String(frames)], a!, b!)))));
      rates.push((flows * frames) / ((performance.now() - began) / 1000));
      for (const fd of ends.flat()) closeFd(fd);
      backend.close();
    }
    console.log(
      `  ${flows} flow(s) at once, ${2 * flows} ports: ${(median(rates) / 1000).toFixed(0)} k frames/s of 1514 bytes in all`,
    );
  }
  const fan: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const backend = openSwitch();
    const ports = openPorts(openBridge(backend), 16);
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
  const backend = openSwitch();
  const bridge = openBridge(backend);
  const times: number[] = [];
  for (let i = 0; i < 200; i++) {
    const began = performance.now();
    const [port] = openPorts(bridge, 1);
    times.push((performance.now() - began) * 1000);
    closeFd(port!.wire.fd);
    reactor.run(port!.close());
  }
  console.log(`a port: ${median(times).toFixed(0)} µs to open`);
  const began = performance.now();
  const started = openSwitch();
  openBridge(started);
  console.log(`the switch: ${(performance.now() - began).toFixed(1)} ms from nothing to the first bridge`);
  started.close();
  backend.close();
};

try {
  compile(resolve("tests/bench/network/nics.c"), nics);
  throughput();
  latency();
  console.log("many at once");
  crowd();
  attach();
} finally {
  rmSync(directory, { recursive: true, force: true });
}

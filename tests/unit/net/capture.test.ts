import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ByteSource } from "../../../src/net/backend.ts";
import { readPcap } from "../../../src/packet/pcap.ts";
import { readSome } from "../../../src/sys/libc.ts";
import { POLLIN, type Watch } from "../../../src/sys/reactor.ts";
import { Lab, numberOf, pair } from "./nics.ts";

const MILLISECOND = 1_000_000;

/** What a capture has streamed so far: it is read as it comes. */
class Stream {
  ended = false;
  private readonly chunks: Uint8Array[] = [];
  private readonly watch: Watch;

  constructor(
    private readonly lab: Lab,
    private readonly source: ByteSource,
  ) {
    this.watch = lab.reactor.watch(source.fd, POLLIN, () => this.read());
  }

  get bytes(): Uint8Array {
    return Buffer.concat(this.chunks);
  }

  /** Waits until so many packets are there. */
  packets(count: number) {
    const read = () => (this.bytes.byteLength < 24 ? [] : readPcap(this.bytes).packets);
    this.lab.until(() => read().length >= count, `${count} packets in the capture`);
    return read();
  }

  close(): void {
    this.watch.close();
    this.lab.run(this.source.close());
  }

  private read(): void {
    const chunk = new Uint8Array(256 * 1024);
    const n = readSome(this.source.fd, chunk);
    if (n > 0) this.chunks.push(chunk.subarray(0, n));
    this.ended = n === 0;
    if (this.ended) this.watch.close();
  }
}

const capture = (lab: Lab, port?: number): Stream => new Stream(lab, lab.run(lab.bridge.capture(port)));

describe("a capture", () => {
  test("of a bridge has each frame once, with the time at which it came", () => {
    using lab = new Lab();
    const [a, b, c] = lab.known(3);
    const source = capture(lab);
    const before = BigInt(Date.now()) * 1_000_000n;
    a!.tell(b!, 1, 100);
    b!.tell(c!, 2);
    const packets = source.packets(2);
    expect(packets.map(({ data }) => numberOf(data))).toEqual([1, 2]);
    expect(packets[0]!.length).toBe(114);
    expect(packets[0]!.timeNs).toBeGreaterThan(before - 1_000_000n);
    expect(packets[1]!.timeNs).toBeGreaterThanOrEqual(packets[0]!.timeNs);
    expect(packets[1]!.timeNs).toBeLessThanOrEqual(BigInt(Date.now() + 1) * 1_000_000n);
    source.close();
    source.close();
  });

  test("of a port has what it sends and what reaches it, after latency and loss", () => {
    using lab = new Lab();
    const [a, b, c] = lab.known(3);
    lab.apply([pair(a!, b!, {}, true), pair(c!, b!, { latencyNs: 20 * MILLISECOND })]);
    const [all, own] = [capture(lab), capture(lab, b!.id)];
    c!.tell(b!, 1);
    a!.tell(b!, 2);
    a!.tell(c!, 3);
    b!.await(1);
    b!.tell(c!, 4);
    const seen = own.packets(2);
    expect(seen.map(({ data }) => numberOf(data))).toEqual([1, 4]);
    const whole = all.packets(4);
    expect(whole.map(({ data }) => numberOf(data)).toSorted()).toEqual([1, 2, 3, 4]);
    const sent = whole.find(({ data }) => numberOf(data) === 1)!.timeNs;
    expect(seen[0]!.timeNs - sent).toBeGreaterThanOrEqual(20n * 1_000_000n);
  });

  test("shows that a rate lets through what it says, within a tenth", () => {
    using lab = new Lab();
    const [a, b] = lab.known(2);
    const [rateBps, burst, size] = [10_000_000, 100, 1000];
    lab.apply([pair(a!, b!, { rateBps })]);
    const source = capture(lab, b!.id);
    const shares: number[] = [];
    const fastest = (): number => Math.max(...shares);
    // Counted from before it is sent, a burst can be late on a busy host but never early: the fastest tells.
    for (let round = 1; round <= 5 || (round <= 20 && fastest() < 0.9); round++) {
      const start = BigInt(Date.now()) * 1_000_000n;
      // As much as the wire's queue holds, so that only the wire sets the pace.
      lab.stream(a!, b!, burst, size - 14);
      const seconds = Number(source.packets(round * burst).at(-1)!.timeNs - start) / 1e9;
      shares.push((burst * size * 8) / seconds / rateBps);
    }
    expect(fastest()).toBeWithin(0.9, 1.1);
  });

  test("goes on where nobody reads, up to a bound, and the reader finds whole packets", () => {
    using lab = new Lab();
    const [a, b] = lab.known(2);
    const source = capture(lab);
    lab.stream(a!, b!, 2000, 1000);
    expect(source.packets(2000).map(({ data }) => numberOf(data))).toEqual(
      Array.from({ length: 2000 }, (_, i) => i),
    );
  });

  test("ends with its port, and one whose reader has gone does no harm", () => {
    using lab = new Lab();
    const [a, b] = lab.known(2);
    const [whole, own] = [capture(lab), capture(lab, b!.id)];
    lab.run(b!.port.close());
    lab.until(() => own.ended, "the end of the capture");
    own.close();
    whole.close();
    a!.tell(b!, 1);
    expect(lab.run(lab.backend.state()).captures).toBe(0);
  });

  test("is read by tcpdump without complaint", () => {
    const program = Bun.which("tcpdump", { PATH: `${process.env.PATH}:/usr/sbin:/sbin` });
    if (program === null) {
      console.log("tcpdump is not installed: not asked (Debian package tcpdump)");
      return;
    }
    using lab = new Lab(1500, "10.1.0.1/24");
    const [a, b] = lab.known(2);
    const source = capture(lab);
    lab.stream(a!, b!, 20);
    source.packets(20);
    const directory = mkdtempSync(join(tmpdir(), "provium-capture-"));
    try {
      const file = join(directory, "lan.pcap");
      writeFileSync(file, source.bytes);
      const { exitCode, stdout, stderr } = Bun.spawnSync([program, "-n", "-e", "-r", file]);
      // Of a type that it does not know it prints the bytes too, on lines of their own.
      const lines = stdout
        .toString()
        .split("\n")
        .filter((line) => line.includes(" > "));
      expect({ exitCode, lines: lines.length }).toEqual({ exitCode: 0, lines: 20 });
      expect(lines[0]).toContain("52:54:00:00:00:01 > 52:54:00:00:00:02, ethertype Unknown (0x88b5)");
      expect(stderr.toString()).toMatch(/^reading from file \S+, link-type EN10MB \(Ethernet\)[^\n]*\n$/);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});

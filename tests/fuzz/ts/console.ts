/**
 * What two consoles of a guest say, in pieces that come in any order: a log in which nothing is lost and no line has
 * bytes of both, and a panic that is seen however its report is cut.
 */

import { rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Reactor } from "../../../src/sys/reactor.ts";
import { ConsoleLog } from "../../../src/vmm/console-log.ts";
import { PanicWatch } from "../../../src/vmm/panic.ts";
import { joined } from "../../unit/packet/frames.ts";
import { bytesOf, must, type Target } from "../target.ts";

const NEWLINE = 10;
const DEVICES = ["ttyS0", "hvc0"] as const;
type Device = 0 | 1;

interface Piece {
  readonly device: Device;
  readonly bytes: Uint8Array;
}

/** Bytes tell who said them: those of the second device have the upper bit set. */
const marked = (bytes: Uint8Array, device: Device): Uint8Array =>
  bytes.map((byte) => (byte === NEWLINE ? byte : device === 1 ? byte | 0x80 : byte & 0x7f));

/** A byte of device and length, a byte that says how often, the bytes. */
const piecesIn = (input: Uint8Array): Piece[] => {
  const pieces: Piece[] = [];
  let long = 2;
  for (let at = 0; at + 2 < input.byteLength; ) {
    const [head, times] = [input[at] as number, input[at + 1] as number];
    const device: Device = (head & 1) === 1 ? 1 : 0;
    const once = input.subarray(at + 2, at + 2 + (head >> 1));
    // Twice at most, together more than the tail in memory holds.
    const bytes = Buffer.concat(Array.from({ length: times > 250 && long-- > 0 ? 600 : 1 }, () => once));
    pieces.push({ device, bytes: marked(bytes, device) });
    at += 2 + (head >> 1);
  }
  return pieces.slice(0, 200);
};

const isOf =
  (device: Device) =>
  (byte: number): boolean =>
    byte !== NEWLINE && byte >= 0x80 === (device === 1);

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

const logged = (log: ConsoleLog, pieces: readonly Piece[]): void => {
  for (const { device, bytes } of pieces) log.add(DEVICES[device], bytes);
  log.settle();
  const all = log.all();
  must(all.byteLength === log.length, "the log is as long as it says");
  for (const device of [0, 1] as const) {
    const said = Buffer.concat(pieces.filter((it) => it.device === device).map(({ bytes }) => bytes));
    must(
      same(
        all.filter(isOf(device)),
        said.filter((byte) => byte !== NEWLINE),
      ),
      "nothing is lost or moved",
    );
  }
  for (let at = 0, end = 0; at < all.byteLength; at = end + 1) {
    end = all.indexOf(NEWLINE, at);
    if (end < 0) end = all.byteLength;
    const line = all.subarray(at, end);
    must(line.every(isOf(0)) || line.every(isOf(1)), "a line is of one device");
  }
  const middle = all.byteLength >> 1;
  must(same(log.read(middle, 100), all.subarray(middle, middle + 100)), "the log can be read from anywhere");
};

const panicIn = (parts: readonly Uint8Array[]): readonly unknown[] => {
  const watch = new PanicWatch();
  for (const part of parts) watch.add(part);
  return [watch.reason, watch.ended];
};

const PANIC =
  "[    1.5] Kernel panic - not syncing: Oops\n[ 1.6] x\n---[ end Kernel panic - not syncing ]---\n";

export const consoles: Target = {
  name: "console",
  source: import.meta.file,
  seeds: [
    joined([20, 0], bytesOf("one line\nA"), [21, 0], bytesOf("two line\nB"), [9, 255], bytesOf("x\ny\n")),
    joined([PANIC.length * 2, 0], bytesOf(PANIC)),
    joined([252, 255], bytesOf(`${"long ".repeat(25)}\n`)),
    joined([252, 255], bytesOf(`${"long ".repeat(25)}\n`), [230, 255], bytesOf(`${"longer ".repeat(16)}\n`)),
  ],
  words: ["\n", "Kernel panic - not syncing", "---[ end Kernel panic", "<0>", "[    0.1] "],
  run: (input) => {
    const pieces = piecesIn(input);
    const path = join(tmpdir(), `provium-fuzz-console-${process.pid}`);
    const log = new ConsoleLog(path, new Reactor());
    try {
      logged(log, pieces);
    } finally {
      log.close();
      rmSync(path);
    }
    const said = pieces.map(({ bytes }) => bytes);
    must(
      String(panicIn(said)) === String(panicIn([Buffer.concat(said)])),
      "a panic is seen however it is cut",
    );
  },
};

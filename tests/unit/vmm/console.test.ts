import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { closeFd, readSome, setNonBlocking, socketPair, writeSome } from "../../../src/sys/libc.ts";
import { after, until } from "../../../src/sys/op.ts";
import { POLLIN, Reactor } from "../../../src/sys/reactor.ts";
import { consoleDevice, MachineConsole } from "../../../src/vmm/console.ts";
import { ConsoleLog } from "../../../src/vmm/console-log.ts";
import { PanicWatch } from "../../../src/vmm/panic.ts";

const LONG = 20_000;
const directory = mkdtempSync(join(tmpdir(), "provium-console-"));
afterAll(() => rmSync(directory, { recursive: true }));
let files = 0;
const freshPath = (): string => join(directory, `console-${files++}.log`);
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (data: Uint8Array): string => new TextDecoder().decode(data);

test("a device with an open line keeps the floor until the line ends", () => {
  const log = new ConsoleLog(freshPath(), new Reactor());
  log.add("ttyS0", bytes("one "));
  log.add("hvc0", bytes("A\n"));
  log.add("ttyS0", bytes("line\nnext"));
  log.add("ttyS0", bytes(" line\n"));
  expect(text(log.all())).toBe("one line\nA\nnext line\n");
  log.close();
});

test("a prompt does not hold up the other device for ever", () => {
  const reactor = new Reactor();
  const log = new ConsoleLog(freshPath(), reactor);
  log.add("ttyS0", bytes("login: "));
  log.add("hvc0", bytes("kernel says\n"));
  expect(text(log.all())).toBe("login: ");
  reactor.run(until(() => log.length > 7, after(LONG)));
  expect(text(log.all())).toBe("login: \nkernel says\n");
  log.close();
});

test("what was held is in the log after its end", () => {
  const log = new ConsoleLog(freshPath(), new Reactor());
  log.add("ttyS0", bytes("half"));
  log.add("hvc0", bytes("other"));
  log.close();
  log.close();
  expect(text(log.all())).toBe("half\nother");
});

test("the tail is bounded, the file has all, and reading continues from any offset", () => {
  const log = new ConsoleLog(freshPath(), new Reactor());
  let all = "";
  for (let i = 0; i < 5000; i++) {
    const line = `line ${i} ${"x".repeat(i % 97)}\n`;
    all += line;
    log.add("ttyS0", bytes(line));
  }
  expect(log.length).toBe(all.length);
  expect(text(log.all())).toBe(all);
  expect(log.last(1000)).toBe(all.slice(-1000));
  expect(log.last(1e9).length).toBeLessThanOrEqual(128 * 1024);
  for (const offset of [0, 1000, all.length - 100_000, all.length - 10, all.length, all.length + 5])
    expect(text(log.read(offset, 50))).toBe(all.slice(offset, offset + 50));
  log.close();
  expect(text(log.read(0, 10))).toBe(all.slice(0, 10));
});

test("a full disk takes the file away, not the console", () => {
  const log = new ConsoleLog("/dev/full", new Reactor());
  log.add("ttyS0", bytes("one\n"));
  log.add("ttyS0", bytes("two\n"));
  expect(text(log.all())).toBe("one\ntwo\n");
  const long = "x".repeat(300_000);
  log.add("ttyS0", bytes(`${long}three\n`));
  expect(text(log.read(log.kept(0), 300_000))).toEndWith("xxthree\n");
  log.close();
});

test("a console that says more than the file may hold keeps its end, and says what is left out", () => {
  const log = new ConsoleLog(freshPath(), new Reactor(), 100_000);
  const piece = (i: number): string => `${String(i).padStart(9, "0")}\n`;
  const all = Array.from({ length: 50_000 }, (_, i) => piece(i)).join("");
  for (let at = 0; at < all.length; at += 1000) {
    log.add("hvc0", bytes(all.slice(at, at + 1000)));
    // While the tail still reaches back to the file nothing is missing.
    if (log.length === 150_000) expect(text(log.all())).toBe(all.slice(0, 150_000));
  }
  const [start = "", left, end = ""] = text(log.all()).split(
    /\n\[provium: (\d+) bytes of the console are left out here\]\n/,
  );
  expect(start).toBe(all.slice(0, 100_000));
  expect(end.length).toBeGreaterThanOrEqual(64 * 1024);
  expect(all.endsWith(end)).toBe(true);
  expect(start.length + Number(left) + end.length).toBe(all.length);
  // Whoever reads on comes from the file to the end, over what is left out.
  expect([0, 99_999].map((offset) => log.kept(offset))).toEqual([0, 99_999]);
  expect([100_000, 200_000].map((offset) => log.kept(offset))).toEqual(
    Array(2).fill(all.length - end.length),
  );
  expect(text(log.read(log.kept(100_000), end.length))).toBe(end);
  log.close();
});

test("two writes larger than the tail, one after the other, can be read from anywhere", () => {
  const log = new ConsoleLog(freshPath(), new Reactor());
  const said = Buffer.from(Array.from({ length: 30_000 }, (_, i) => `${i}\n`).join(""));
  for (const at of [0, 70_000]) log.add("ttyS0", said.subarray(at, at + 70_000));
  for (let at = 0; at < 140_000; at += 500)
    expect(Buffer.from(log.read(at, 100)).toString()).toBe(said.subarray(at, at + 100).toString());
  log.close();
});

test("one write larger than the tail leaves its end there", () => {
  const log = new ConsoleLog(freshPath(), new Reactor());
  log.add("ttyS0", bytes("a".repeat(200_000)));
  log.add("ttyS0", bytes("end"));
  expect(log.last(5)).toBe("aaend");
  expect(log.length).toBe(200_003);
  log.close();
});

test("/dev/console is the last device of the command line, ttyS0 without one", () => {
  expect(consoleDevice("quiet console=hvc0 console=ttyS0,115200")).toBe("ttyS0");
  expect(consoleDevice("console=ttyS0 console=hvc0 panic=-1")).toBe("hvc0");
  expect(consoleDevice("quiet")).toBe("ttyS0");
});

const machine = (): {
  console: MachineConsole;
  reactor: Reactor;
  ttyS0: number;
  hvc0: number;
  panics: [string, boolean][];
} => {
  const reactor = new Reactor();
  const [ours0, ttyS0] = socketPair();
  const [ours1, hvc0] = socketPair();
  for (const fd of [ttyS0, hvc0]) setNonBlocking(fd);
  const panics: [string, boolean][] = [];
  const console = new MachineConsole(
    freshPath(),
    { ttyS0: { reads: ours0, writes: ours0 }, hvc0: { reads: ours1, writes: ours1 } },
    "ttyS0",
    reactor,
    (...panic) => panics.push(panic),
  );
  return { console, reactor, ttyS0, hvc0, panics };
};

test("both devices end up in one log while something else is waited for", () => {
  const { console, reactor, ttyS0, hvc0 } = machine();
  writeSome(ttyS0, bytes("from ttyS0\n"));
  writeSome(hvc0, bytes("from hvc0\n"));
  reactor.run(until(() => console.length === 21, after(LONG)));
  expect(console.tail(100)).toBe("from ttyS0\nfrom hvc0\n");
  for (const fd of [ttyS0, hvc0]) closeFd(fd);
  console.close();
});

test("a large write waits for its reader and arrives whole at /dev/console", () => {
  const { console, reactor, ttyS0, hvc0 } = machine();
  const data = new Uint8Array(2_000_000).map((_, i) => i % 251);
  const received: Uint8Array[] = [];
  let size = 0;
  reactor.watch(ttyS0, POLLIN, () => {
    const buffer = new Uint8Array(65536);
    const n = readSome(ttyS0, buffer);
    received.push(buffer.subarray(0, n));
    size += n;
  });
  reactor.run(console.write(data, after(LONG)));
  reactor.run(until(() => size === data.byteLength, after(LONG)));
  expect(Buffer.concat(received).equals(Buffer.from(data))).toBe(true);
  expect(readSome(hvc0, new Uint8Array(1))).toBeLessThan(0);
  for (const fd of [ttyS0, hvc0]) closeFd(fd);
  console.close();
});

test("a guest that does not read its console makes the write time out", () => {
  const { console, reactor, ttyS0, hvc0 } = machine();
  expect(() => reactor.run(console.write(new Uint8Array(8_000_000), after(5)))).toThrow(
    "did not read its console ttyS0 in time",
  );
  for (const fd of [ttyS0, hvc0]) closeFd(fd);
  console.close();
});

test("a panic is heard when it begins and again when its report has ended", () => {
  const { console, reactor, ttyS0, hvc0, panics } = machine();
  writeSome(ttyS0, bytes("[    1.5] Kernel panic - not syncing: VFS: no root\r\n"));
  reactor.run(until(() => panics.length === 1, after(LONG)));
  expect(panics).toEqual([["VFS: no root", false]]);
  writeSome(ttyS0, bytes("[    1.6] ---[ end Kernel panic - not syncing: VFS: no root ]---\r\n"));
  reactor.run(until(() => panics.length === 2, after(LONG)));
  expect(panics[1]).toEqual(["VFS: no root", true]);
  for (const fd of [ttyS0, hvc0]) closeFd(fd);
  console.close();
});

test("closing takes in what was said last and leaks no descriptor", () => {
  const before = readdirSync("/proc/self/fd").length;
  const { console, ttyS0, hvc0 } = machine();
  writeSome(hvc0, bytes("last words"));
  console.close();
  console.close();
  expect(text(console.log())).toBe("last words");
  for (const fd of [ttyS0, hvc0]) closeFd(fd);
  expect(readdirSync("/proc/self/fd").length).toBe(before);
});

test("words about a panic in the middle of a line are no panic", () => {
  const watch = new PanicWatch();
  watch.add(bytes("grep: Kernel panic - not syncing: quoted\n+ echo Kernel panic - not syncing\n"));
  expect(watch.reason).toBeUndefined();
  watch.add(bytes("<0>[  12.345678][  T99] Kernel pan"));
  watch.add(bytes("ic - not syncing: stack-protector\n"));
  expect(watch.reason).toBe("stack-protector");
});

import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { closeFd, setNonBlocking, writeSome } from "../../../src/sys/libc.ts";
import { after, until } from "../../../src/sys/op.ts";
import { POLLOUT, type Reactor } from "../../../src/sys/reactor.ts";
import { bytes, connect, Ear, LONG, machine as made } from "./console-clients.ts";

const base = mkdtempSync(join(tmpdir(), "provium-console-"));
afterAll(() => rmSync(base, { recursive: true }));
const machine = (directory = mkdtempSync(join(base, "vm-"))) => made(directory);

const descriptors = (): number => readdirSync("/proc/self/fd").length;

test("clients hear what is said after they have come, and type into the device", () => {
  const { console, reactor, guest } = machine();
  const path = console.socketPath();
  expect(console.socketPath()).toBe(path);
  writeSome(guest, bytes("before\n"));
  reactor.run(until(() => console.length === 7, after(LONG)));
  const fds = [connect(path), connect(path)];
  const ears = fds.map((fd) => new Ear(fd, reactor));
  writeSome(fds[0] as number, bytes("typed by one\n"));
  const device = new Ear(guest, reactor);
  reactor.run(until(() => device.heard.length > 0, after(LONG)));
  writeSome(guest, bytes("said\n"));
  reactor.run(until(() => ears.every((ear) => ear.heard.length > 0), after(LONG)));
  expect(ears.map((ear) => String(ear.heard))).toEqual(["said\n", "said\n"]);
  writeSome(fds[1] as number, bytes("by the other\n"));
  reactor.run(until(() => device.heard.length > 13, after(LONG)));
  expect(String(device.heard)).toBe("typed by one\nby the other\n");
  console.close();
  for (const fd of [...fds, guest]) closeFd(fd);
});

test("one that does not read holds up nobody, and gets everything once it reads", () => {
  const { console, reactor, guest } = machine();
  const path = console.socketPath();
  const fds = [connect(path), connect(path)];
  const quick = new Ear(fds[0] as number, reactor);
  // Both are there before anything is said.
  reactor.run(until(() => false, after(5)));
  const text = Array.from({ length: 300_000 }, (_, i) => i).join("\n");
  const data = bytes(text);
  let said = 0;
  const mouth = reactor.watch(guest, POLLOUT, () => {
    said += Math.max(0, writeSome(guest, data.subarray(said)));
    if (said === data.byteLength) mouth.close();
  });
  reactor.run(until(() => quick.heard.length === data.byteLength, after(LONG)));
  expect(String(quick.heard) === text).toBe(true);
  const slow = new Ear(fds[1] as number, reactor);
  reactor.run(until(() => slow.heard.length === data.byteLength, after(LONG)));
  expect(String(slow.heard) === text).toBe(true);
  console.close();
  for (const fd of [...fds, guest]) closeFd(fd);
});

test("what somebody has typed who left at once arrives whole, as fast as the guest reads", () => {
  const { console, reactor, guest } = machine();
  const fd = connect(console.socketPath());
  const text = Array.from({ length: 60_000 }, (_, i) => i).join(",");
  setNonBlocking(fd);
  let sent = 0;
  const data = bytes(text);
  // As much as fits while the guest reads nothing, then it is gone.
  reactor.run(
    until(() => {
      const count = writeSome(fd, data.subarray(sent));
      if (count > 0) sent += count;
      return count < 0;
    }, after(LONG)),
  );
  closeFd(fd);
  reactor.run(until(() => false, after(50)));
  const device = new Ear(guest, reactor);
  reactor.run(until(() => device.heard.length >= sent, after(LONG)));
  expect(sent).toBeGreaterThan(100_000);
  expect(String(device.heard)).toBe(text.slice(0, sent));
  console.close();
  closeFd(guest);
});

/** Types until neither the socket nor the device takes more; how much that was. */
const typeAll = (fd: number, reactor: Reactor): number => {
  setNonBlocking(fd);
  const data = new Uint8Array(65536);
  let [sent, before] = [0, -1];
  while (sent > before) {
    before = sent;
    for (let count = 0; count >= 0; count = writeSome(fd, data)) sent += count;
    reactor.run(until(() => false, after(20)));
  }
  return sent;
};

test("what somebody has typed who left at once arrives whole, also when the guest says something meanwhile", () => {
  const { console, reactor, guest } = machine();
  const fd = connect(console.socketPath());
  const sent = typeAll(fd, reactor);
  closeFd(fd);
  writeSome(guest, bytes("echo\n"));
  reactor.run(until(() => console.length > 0, after(LONG)));
  reactor.run(until(() => false, after(5)));
  const device = new Ear(guest, reactor);
  reactor.run(until(() => device.heard.length >= sent, after(LONG)));
  expect(device.heard.length).toBe(sent);
  console.close();
  closeFd(guest);
});

test("a machine that ends while somebody types leaves nothing that wakes those who wait", () => {
  const { console, reactor, guest } = machine();
  const fd = connect(console.socketPath());
  typeAll(fd, reactor);
  console.close();
  let looks = 0;
  reactor.run(until(() => ++looks < 0, after(100)));
  expect(looks).toBeLessThan(20);
  closeFd(fd);
  closeFd(guest);
});

test("the end of the machine ends its clients after they have heard the rest, and leaves nothing", () => {
  const before = descriptors();
  const { console, reactor, guest } = machine();
  const path = console.socketPath();
  const ears: Ear[] = [];
  const fds: number[] = [];
  // More than are served at once; those stay in the socket's queue.
  for (let i = 0; i < 20; i++) {
    fds.push(connect(path));
    ears.push(new Ear(fds[i] as number, reactor));
    reactor.run(until(() => false, after(5)));
  }
  writeSome(guest, bytes("last words\n"));
  console.close();
  console.close();
  reactor.run(until(() => ears.every((ear) => ear.ended), after(LONG)));
  const heard = ears.map((ear) => String(ear.heard));
  expect(heard).toEqual([...Array(16).fill("last words\n"), ...Array(4).fill("")]);
  expect(existsSync(path)).toBe(false);
  for (const fd of [...fds, guest]) closeFd(fd);
  expect(descriptors()).toBe(before);
});

test("a client for whom there is no descriptor waits without keeping anybody busy, and is let in later", () => {
  // A process of its own: one without descriptors is of no use for other tests.
  const script = [
    process.execPath,
    join(import.meta.dir, "console-shortage.ts"),
    mkdtempSync(join(base, "vm-")),
  ];
  const { stdout, stderr } = Bun.spawnSync(["bash", "-c", 'ulimit -n 64; exec "$@"', "-", ...script]);
  expect(stderr.toString()).toBe("");
  const [looks, heard] = JSON.parse(stdout.toString());
  expect(looks).toBeLessThan(20);
  expect(heard).toBe("said\n");
});

test("a name that is too long for a socket is an error that says so", () => {
  const directory = mkdtempSync(join(base, "x".repeat(100)));
  const { console, guest } = machine(directory);
  expect(() => console.socketPath()).toThrow(
    `the name of a socket has room for 107 bytes; ${directory}/console has ${directory.length + 8}`,
  );
  console.close();
  closeFd(guest);
});

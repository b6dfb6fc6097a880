import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { readFileSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { DiskError } from "../../../src/errors/errors.ts";
import { Bench, bytes, DISC, FLUSH, packed, READ, TRIM, WRITE, ZERO } from "./nbd-client.ts";

let bench: Bench;
beforeEach(() => {
  bench = new Bench();
});
afterEach(() => {
  expect(bench.close()).toBe("");
});

const filled = (size: number, with_: string): Uint8Array => new Uint8Array(size).fill(with_.charCodeAt(0));
const EIO = 5;
const EPERM = 1;
const EINVAL = 22;
const EFBIG = 27;
const ENOSPC = 28;

describe("negotiation", () => {
  test("GO tells size and abilities", () => {
    bench.open();
    expect(bench.connect().go()).toEqual({ size: 1048576n, flags: 0b1101101 });
  });

  test("EXPORT_NAME leads to requests too, with and without the zeroes", () => {
    bench.open();
    for (const flags of [1, 3]) {
      const client = bench.connect();
      client.greet(flags);
      client.option(1, bytes("whatever"));
      const export_ = client.take(flags === 3 ? 10 : 134);
      expect(export_.readBigUInt64BE(0)).toBe(1048576n);
      expect(client.call(READ, 0, 512).data.byteLength).toBe(512);
      client.close();
    }
  });

  test("what is not known is refused and the talk goes on; INFO and LIST answer; ABORT ends it", () => {
    bench.open();
    const client = bench.connect();
    client.greet();
    client.option(8);
    expect(client.optionReply()).toMatchObject({ option: 8, type: 0x80000001 });
    client.option(3);
    expect([client.optionReply().type, client.optionReply().type]).toEqual([2, 1]);
    client.option(6, packed([4, 0], [2, 0]));
    expect([client.optionReply().type, client.optionReply().type, client.optionReply().type]).toEqual([
      3, 3, 1,
    ]);
    client.option(7, packed([4, 999], [2, 0]));
    expect(client.optionReply().type).toBe(0x80000003);
    client.option(2);
    expect(client.optionReply().type).toBe(1);
    expect(client.closedByServer()).toBe(true);
    client.close();
  });

  test.each([
    ["unknown client flags", [packed([4, 0xff])]],
    ["no option where one belongs", [packed([4, 3]), filled(64, "x")]],
    ["an option of four gigabytes", [packed([4, 3], "IHAVEOPT", [4, 7], [4, 0xffffffff])]],
  ])("a client with %s loses its connection, and others go on", (_what, parts) => {
    bench.open();
    const client = bench.connect();
    client.take(18);
    for (const part of parts) client.send(part);
    expect(client.closedByServer()).toBe(true);
    client.close();
    const other = bench.connect();
    expect(other.go().size).toBe(1048576n);
    other.close();
  });
});

describe("requests", () => {
  test("what is written is read, in pieces of any size and order", () => {
    bench.open(undefined, 16 * 1024 * 1024);
    const client = bench.connect();
    client.go();
    const large = filled(5 * 1024 * 1024, "l");
    expect(client.call(WRITE, 512, large.byteLength, large).error).toBe(0);
    expect(client.call(WRITE, 1024, 512, filled(512, "s")).error).toBe(0);
    const data = client.call(READ, 0, large.byteLength + 1024).data;
    expect(data.subarray(0, 512).every((byte) => byte === 0)).toBe(true);
    expect(data.subarray(1024, 1536).toString()).toBe("s".repeat(512));
    expect(data.subarray(1536, 512 + large.byteLength).every((byte) => byte === 108)).toBe(true);
    expect(client.call(FLUSH, 0, 0).error).toBe(0);
    client.close();
  });

  test("many at once are all answered, each by its cookie", () => {
    bench.open();
    const client = bench.connect();
    client.go();
    const asked = new Set<bigint>();
    for (let i = 0; i < 1000; i++) asked.add(client.request(READ, (i % 2000) * 512, 512));
    for (let i = 0; i < 1000; i++) asked.delete(client.reply(512).cookie);
    expect(asked.size).toBe(0);
    client.close();
  });

  test("more than are served at once are all answered though nothing more is sent", () => {
    bench.open();
    const client = bench.connect();
    client.go();
    const request = packed([4, 0x25609513], [2, 0], [2, FLUSH], [8, 1], [8, 0], [4, 0]);
    client.send(...Array<Uint8Array>(1000).fill(request));
    for (let i = 0; i < 1000; i++) expect(client.reply().error).toBe(0);
    client.close();
  });

  test("zeroes and trimmed sectors read as zeroes", () => {
    bench.open();
    const client = bench.connect();
    client.go();
    client.call(WRITE, 0, 8192, filled(8192, "x"));
    expect(client.call(ZERO, 0, 4096).error).toBe(0);
    expect(client.call(TRIM, 4096, 4096).error).toBe(0);
    expect(client.call(READ, 0, 8192).data.every((byte) => byte === 0)).toBe(true);
    client.close();
  });

  test("what cannot be is refused by errno, and the connection lives", () => {
    bench.open();
    const client = bench.connect();
    client.go();
    expect(client.call(READ, 1048576, 512).error).toBe(EINVAL);
    expect(client.call(READ, 2n ** 64n - 512n, 1024).error).toBe(EINVAL);
    expect(client.call(READ, 100, 512).error).toBe(EINVAL);
    expect(client.call(WRITE, 1048576 - 512, 1024, filled(1024, "x")).error).toBe(ENOSPC);
    expect(client.call(WRITE, 3, 512, filled(512, "x")).error).toBe(EINVAL);
    expect(client.call(77, 0, 0).error).toBe(EINVAL);
    expect(client.call(READ, 0, 0xfffffe00).error).toBe(EINVAL);
    expect(client.call(ZERO, 0, 0xfffffe00).error).toBe(ENOSPC);
    expect(client.call(READ, 0, 0).error).toBe(0);
    expect(client.call(WRITE, 0, 0).error).toBe(0);
    expect(client.call(READ, 0, 512).error).toBe(0);
    client.close();
  });

  test.each([
    ["no request", packed(filled(28, "y"))],
    ["a write of four gigabytes", packed([4, 0x25609513], [2, 0], [2, 1], [8, 1], [8, 0], [4, 0xfffffe00])],
  ])("a client that sends %s loses its connection", (_what, data) => {
    bench.open();
    const client = bench.connect();
    client.go();
    client.send(data);
    expect(client.closedByServer()).toBe(true);
    client.close();
  });

  test("a client that goes away in the middle of a write leaves nothing of it", () => {
    bench.open();
    const client = bench.connect();
    client.go();
    client.request(WRITE, 0, 4096, filled(1000, "x"));
    client.close();
    expect(bench.ask("READ", { offset: 0, length: 512 }).data).toEqual(new Uint8Array(512));
  });

  test("goodbye is answered by the end of the connection, after what was asked before", () => {
    bench.open();
    const client = bench.connect();
    client.go();
    client.request(READ, 0, 512);
    client.request(DISC, 0, 0);
    expect(client.reply(512).error).toBe(0);
    expect(client.closedByServer()).toBe(true);
    client.close();
  });

  test("a readonly image takes no write, and says so in its flags", () => {
    const made = join(bench.directory, "made");
    Bun.spawnSync(["truncate", "-s", "1M", made]);
    bench.open(made, -1, true);
    const client = bench.connect();
    expect(client.go().flags & 2).toBe(2);
    expect(client.call(WRITE, 0, 512, filled(512, "x")).error).toBe(EPERM);
    expect(client.call(READ, 0, 512).error).toBe(0);
    client.close();
  });

  test("an image that is truncated under the disk fails reads, and the host is told once", () => {
    const made = join(bench.directory, "made");
    Bun.spawnSync(["truncate", "-s", "1M", made]);
    bench.open(made, -1);
    truncateSync(made, 4096);
    const client = bench.connect();
    client.go();
    expect(client.call(READ, 0, 4096).error).toBe(0);
    expect(client.call(READ, 8192, 512).error).toBe(EIO);
    expect(client.call(READ, 8192, 512).error).toBe(EIO);
    bench.ask("FAULT_LIST");
    expect(bench.troubles).toEqual([EIO]);
    client.close();
  });
});

describe("large requests, whose pages are handed on", () => {
  const LARGE = 1024 * 1024;
  const pattern = (size: number): Uint8Array => Uint8Array.from({ length: size }, (_, i) => (i / 512) ^ i);
  const writeHead = (offset: number, length: number): Uint8Array =>
    packed([4, 0x25609513], [2, 0], [2, WRITE], [8, 1], [8, offset], [4, length]);
  const stored = (offset: number, length: number): Buffer =>
    Buffer.from(bench.ask("READ", { offset, length }).data as Uint8Array);

  test("come whole at any offset and in pieces of any size", () => {
    bench.open(undefined, 4 * LARGE);
    const client = bench.connect();
    client.go();
    const data = pattern(LARGE + 3 * 512);
    client.send(writeHead(7 * 512, data.byteLength), data.subarray(0, 1));
    for (let at = 1, piece = 1; at < data.byteLength; at += piece, piece = (piece * 7 + 13) % 150_001)
      client.send(data.subarray(at, at + piece));
    expect(client.reply().error).toBe(0);
    expect(stored(7 * 512, data.byteLength).equals(data)).toBe(true);
    const asked = [1, 2, 3].map((n) => client.request(READ, n * 512, LARGE - n * 512));
    for (const [i, cookie] of asked.entries()) {
      const n = i + 1;
      const { cookie: answered, data: read } = client.reply(LARGE - n * 512);
      expect(answered).toBe(cookie);
      expect(read.equals(stored(n * 512, LARGE - n * 512))).toBe(true);
    }
    client.close();
  });

  test("a write that comes while answers wait for their reader does not mix with them", () => {
    bench.open(undefined, 4 * LARGE);
    const [kept, data] = [filled(LARGE, "k"), filled(LARGE, "w")];
    bench.ask("WRITE", { offset: 0, data: kept });
    const client = bench.connect();
    client.go();
    for (let round = 0; round < 5; round++) {
      for (let i = 0; i < 3; i++) client.request(READ, 0, LARGE);
      // Nobody reads meanwhile, so that the first answer gets stuck in the middle.
      Bun.sleepSync(30);
      client.send(writeHead(2 * LARGE, LARGE), data);
      const replies = [1, 2, 3].map(() => client.reply(LARGE));
      for (const reply of replies) expect(reply.data.equals(kept)).toBe(true);
      expect(client.reply().error).toBe(0);
      expect(stored(2 * LARGE, LARGE).equals(data)).toBe(true);
      bench.ask("WRITE", { offset: 2 * LARGE, data: kept });
    }
    client.close();
  });

  test("a write that breaks off leaves its whole sectors", () => {
    bench.open();
    const client = bench.connect();
    client.go();
    client.send(writeHead(0, LARGE), filled(100_000, "x"));
    client.close();
    bench.ask("DISCONNECT");
    const whole = 195 * 512;
    expect(stored(0, whole).equals(filled(whole, "x"))).toBe(true);
    expect(stored(whole, LARGE - whole).every((byte) => byte === 0)).toBe(true);
  });

  test("a read of what has been truncated away is an error, and the next request is served", () => {
    const made = join(bench.directory, "made");
    Bun.spawnSync(["truncate", "-s", "2M", made]);
    bench.open(made, -1);
    truncateSync(made, LARGE);
    const client = bench.connect();
    client.go();
    expect(client.call(READ, LARGE / 2, LARGE).error).toBe(EIO);
    expect(client.call(READ, 0, LARGE).error).toBe(0);
    bench.ask("FAULT_LIST");
    expect(bench.troubles).toEqual([EIO]);
    client.close();
  });

  test("a disk made smaller in the middle of a write refuses it and does not grow again", () => {
    bench.open();
    const client = bench.connect();
    client.go();
    client.send(writeHead(0, LARGE), filled(LARGE / 2, "x"));
    bench.ask("RESIZE", { size: LARGE / 4 });
    client.send(filled(LARGE / 2, "x"));
    expect(client.reply().error).toBe(ENOSPC);
    expect(client.call(READ, 0, 512).error).toBe(0);
    expect(statSync(join(bench.directory, "image")).size).toBe(LARGE / 4);
    client.close();
  });

  test("a log that begins in the middle of a write has all of it", () => {
    bench.open();
    const client = bench.connect();
    client.go();
    const data = pattern(LARGE);
    client.send(writeHead(0, LARGE), data.subarray(0, 300_001));
    bench.ask("LOG_START", {
      base: bytes(join(bench.directory, "base")),
      log: bytes(join(bench.directory, "log")),
    });
    client.send(data.subarray(300_001));
    expect(client.reply().error).toBe(0);
    expect(client.call(FLUSH, 0, 0).error).toBe(0);
    const path = join(bench.directory, "image-after");
    bench.ask("LOG_IMAGE", { path: bytes(path), flush: 1, unflushed: 0, seed: 0 });
    expect(readFileSync(path).equals(data)).toBe(true);
    client.close();
  });

  test("faults are felt by them as by small ones", () => {
    bench.open();
    const client = bench.connect();
    client.go();
    bench.fault(4, { times: 1, keep: 3 });
    expect(client.call(WRITE, 0, LARGE, filled(LARGE, "x")).error).toBe(0);
    expect(stored(0, LARGE).lastIndexOf("x")).toBe(3 * 512 - 1);
    bench.fault(0, { first: LARGE - 512 });
    expect(client.call(READ, 0, LARGE).error).toBe(EIO);
    client.close();
  });
});

test("a limit on the size of files fails the write behind it, tells the host, and ends nothing", () => {
  bench.open();
  const limited = Bun.spawnSync(["prlimit", "--pid", String(bench.process.pid), "--fsize=65536"]);
  expect(limited.exitCode).toBe(0);
  const client = bench.connect();
  client.go();
  for (const size of [512, 131072])
    expect(client.call(WRITE, 131072, size, filled(size, "x")).error).toBe(EIO);
  expect(client.call(WRITE, 0, 512, filled(512, "x")).error).toBe(0);
  bench.ask("FAULT_LIST");
  expect(bench.troubles).toEqual([EFBIG]);
  client.close();
});

describe("faults", () => {
  const SLOW = 2;
  test("guest and sector calls feel the same ones", () => {
    bench.open();
    bench.fault(0, { first: 512, end: 1024 });
    const client = bench.connect();
    client.go();
    expect(client.call(READ, 0, 512).error).toBe(0);
    expect(client.call(READ, 0, 1024).error).toBe(EIO);
    expect(client.call(READ, 1024, 512).error).toBe(0);
    let caught: unknown;
    try {
      bench.ask("READ", { offset: 512, length: 512 });
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(DiskError);
    expect(caught).toMatchObject({ errno: EIO, injected: true });
    bench.ask("FAULT_CLEAR", { fault: -1 });
    expect(client.call(READ, 512, 512).error).toBe(0);
    client.close();
  });

  test("slow requests overtake nobody's patience: others are served meanwhile", () => {
    bench.open();
    bench.fault(SLOW, { first: 0, end: 512, delay_ns: 200_000_000 });
    const client = bench.connect();
    client.go();
    const slow = client.request(READ, 0, 512);
    const quick = client.request(READ, 512, 512);
    expect(client.reply(512).cookie).toBe(quick);
    expect(client.reply(512).cookie).toBe(slow);
    client.close();
  });

  test("a client that leaves while its requests wait takes them with it", () => {
    bench.open();
    bench.fault(SLOW, { delay_ns: 60_000_000_000 });
    const client = bench.connect();
    client.go();
    for (let i = 0; i < 300; i++) client.request(WRITE, 0, 512, filled(512, "x"));
    client.close();
    bench.ask("FAULT_CLEAR", { fault: -1 });
    expect(bench.ask("READ", { offset: 0, length: 512 }).data).toEqual(new Uint8Array(512));
  });

  test.each([
    [0, 0, "n"],
    [1, EIO, "o"],
    [2, 0, "o"],
  ])("a lost write and a flush with rule %d: errno %d, then %s is stored", (rule, errno, stored) => {
    bench.open();
    bench.ask("WRITE", { offset: 0, data: filled(512, "o") });
    bench.fault(5, { on_flush: rule });
    const client = bench.connect();
    client.go();
    expect(client.call(WRITE, 0, 512, filled(512, "n")).error).toBe(0);
    expect(bench.ask("READ", { offset: 0, length: 512 }).data).toEqual(filled(512, "o"));
    expect(client.call(FLUSH, 0, 0).error).toBe(errno);
    expect(client.call(FLUSH, 0, 0).error).toBe(0);
    expect(bench.ask("READ", { offset: 0, length: 512 }).data).toEqual(filled(512, stored));
    client.close();
  });

  test("what a power cut finds unflushed in a lying disk is gone", () => {
    bench.open();
    bench.fault(5);
    const client = bench.connect();
    client.go();
    client.call(WRITE, 0, 512, filled(512, "n"));
    client.close();
    bench.ask("DISCONNECT");
    bench.ask("FLUSH");
    expect(bench.ask("READ", { offset: 0, length: 512 }).data).toEqual(new Uint8Array(512));
  });

  test("a flush does not put a lost write over what was stored there after it", () => {
    bench.open();
    bench.fault(5, { times: 1 });
    bench.ask("WRITE", { offset: 1024, data: filled(8192, "l") });
    bench.ask("WRITE", { offset: 0, data: filled(2048, "s") });
    bench.ask("WRITE", { offset: 4096, data: filled(1024, "m") });
    bench.ask("WRITE", { offset: 8704, data: filled(1024, "e") });
    const client = bench.connect();
    client.go();
    expect(client.call(ZERO, 5120, 512).error).toBe(0);
    expect(client.call(TRIM, 5632, 512).error).toBe(0);
    expect(client.call(FLUSH, 0, 0).error).toBe(0);
    const { data } = bench.ask("READ", { offset: 0, length: 10240 });
    const sectors = Array.from({ length: 20 }, (_, i) => String.fromCharCode((data as Uint8Array)[i * 512]!));
    expect(sectors.join("").replaceAll("\0", "0")).toBe("ssssllllmm00lllllee0");
    client.close();
  });

  test("a large write that is stored after a lost one stays, too", () => {
    bench.open();
    bench.fault(5, { times: 1 });
    bench.ask("WRITE", { offset: 131072, data: filled(512, "l") });
    bench.ask("FAULT_CLEAR", { fault: -1 });
    const client = bench.connect();
    client.go();
    expect(client.call(WRITE, 0, 524288, filled(524288, "s")).error).toBe(0);
    expect(client.call(FLUSH, 0, 0).error).toBe(0);
    expect(client.call(READ, 131072, 512).data).toEqual(Buffer.from(filled(512, "s")));
    client.close();
  });

  test("a lost write that lies behind the end of a disk made smaller is stored nowhere", () => {
    bench.open();
    bench.fault(5);
    bench.ask("WRITE", { offset: 1048064, data: filled(512, "n") });
    bench.ask("WRITE", { offset: 0, data: filled(512, "n") });
    bench.ask("RESIZE", { size: 524288 });
    bench.ask("FLUSH");
    expect(bench.ask("READ", { offset: 0, length: 512 }).data).toEqual(filled(512, "n"));
    expect(statSync(join(bench.directory, "image")).size).toBe(524288);
  });

  test("rules that make no sense are refused", () => {
    bench.open();
    for (const wrong of [{ mode: 7 }, { mode: -1 }, { bits: 0 }, { on_flush: 3 }, { first: -1 }])
      expect(() => bench.fault(0, wrong)).toThrow("EINVAL");
  });
});

describe("orders", () => {
  test("nothing works before the image is open, and it is opened once", () => {
    expect(() => bench.ask("READ", { offset: 0, length: 512 })).toThrow("ENXIO");
    bench.open();
    expect(() => bench.open()).toThrow("is open already");
  });

  test("the log gives back the state at every flush, and a choice of what came after it", () => {
    bench.open();
    const write = (n: number, what: string): void =>
      void bench.ask("WRITE", { offset: n * 512, data: filled(512, what) });
    write(0, "a");
    bench.ask("LOG_START", {
      base: bytes(join(bench.directory, "base")),
      log: bytes(join(bench.directory, "log")),
    });
    write(1, "b");
    bench.ask("FLUSH");
    write(2, "c");
    write(0, "A");
    bench.ask("FLUSH");
    write(3, "d");
    expect(bench.ask("LOG_STATE")).toMatchObject({ writes: 4, flushes: 2 });
    let made = 0;
    const image = (flush: number, unflushed: number, seed = 0): string => {
      const path = join(bench.directory, `image-${++made}`);
      bench.ask("LOG_IMAGE", { path: bytes(path), flush, unflushed, seed });
      const disk = new Bench();
      disk.open(path, -1, true);
      const data = disk.ask("READ", { offset: 0, length: 2048 }).data as Uint8Array;
      disk.close();
      return [0, 512, 1024, 1536]
        .map((at) => (data[at] ? String.fromCharCode(data[at] as number) : "."))
        .join("");
    };
    expect(image(0, 0)).toBe("a...");
    expect(image(0, 1)).toBe("ab..");
    expect(image(1, 0)).toBe("ab..");
    expect(image(1, 1)).toBe("Abc.");
    expect(image(2, 0)).toBe("Abc.");
    expect(image(2, 1)).toBe("Abcd");
    expect(image(1, 2, 5)).toBe(image(1, 2, 5));
    const choices = new Set(Array.from({ length: 16 }, (_, seed) => image(1, 2, seed)));
    expect([...choices].sort()).toEqual(["Ab..", "Abc.", "ab..", "abc."]);
    expect(() => bench.ask("LOG_IMAGE", { path: bytes("/x"), flush: 3, unflushed: 0, seed: 0 })).toThrow(
      "EINVAL",
    );
  });

  test("a copy has the content and not the holes", () => {
    bench.open(undefined, 1024 * 1024 * 1024);
    bench.ask("WRITE", { offset: 512 * 1024 * 1024, data: filled(4096, "x") });
    const path = join(bench.directory, "copy");
    bench.ask("SAVE", { path: bytes(path) });
    const { stdout } = Bun.spawnSync(["stat", "-c", "%s %b", path]);
    const [size, blocks] = stdout.toString().split(" ").map(Number);
    expect(size).toBe(1024 * 1024 * 1024);
    expect(blocks).toBeLessThan(8192);
    bench.ask("WRITE", { offset: 512 * 1024 * 1024, data: filled(4096, "y") });
    bench.ask("LOAD", { path: bytes(path) });
    expect(bench.ask("READ", { offset: 512 * 1024 * 1024, length: 4096 }).data).toEqual(filled(4096, "x"));
  });

  test("an image that is written by one is refused to others, readers share", () => {
    const path = join(bench.directory, "shared");
    Bun.spawnSync(["truncate", "-s", "1M", path]);
    const writer = new Bench();
    const others = [new Bench(), new Bench(), new Bench(), new Bench(), new Bench()] as const;
    writer.open(path, -1);
    expect(() => others[0].open(path, -1)).toThrow("is used by somebody else");
    expect(() => others[1].open(path, -1, true)).toThrow("EAGAIN");
    expect(writer.close()).toBe("");
    others[2].open(path, -1, true);
    others[3].open(path, -1, true);
    expect(() => others[4].open(path, -1)).toThrow("is used by somebody else");
    for (const other of others) expect(other.close()).toBe("");
  });

  test.each([
    ["a missing file", "/nowhere/at/all", "ENOENT"],
    ["a directory", "/tmp", "EISDIR"],
    ["a device", "/dev/null", "is no regular file"],
  ])("%s is refused", (_what, path, message) => {
    expect(() => bench.open(path, -1)).toThrow(message);
  });
});

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { appendFileSync, mkdirSync, renameSync, truncateSync, unlinkSync, writeFileSync } from "node:fs";
import { GuestError } from "../../../src/errors/errors.ts";
import type { GuestStream, OutputStream } from "../../../src/lab/ports.ts";
import { NEVER } from "../../../src/sys/op.ts";
import { bytes, text } from "./fake-agent.ts";
import { AGENT_BUILT, LocalGuest } from "./local-guest.ts";

const EBADF = 9;
const ENOENT = 2;
const EISDIR = 21;
const SYS_PIPE2 = 293;

describe.skipIf(!AGENT_BUILT)("streams out of a guest", () => {
  let local: LocalGuest;
  beforeAll(() => {
    local = new LocalGuest();
  });
  afterAll(() => local.close());

  /** Reads until `wanted` has come; the test fails by its deadline otherwise. */
  const gather = (stream: OutputStream, wanted: string): string => {
    let seen = "";
    local.wait(() => {
      for (let piece = stream.take(65_536); piece !== undefined; piece = stream.take(65_536))
        seen += text(piece);
      return seen.length >= wanted.length || stream.ended;
    });
    return seen;
  };
  const expectNext = (stream: OutputStream, wanted: string): void => {
    expect(gather(stream, wanted)).toBe(wanted);
  };
  const close = (stream: GuestStream): void => local.run(stream.close());
  const refusal = (act: () => unknown): GuestError => {
    try {
      act();
    } catch (error) {
      if (error instanceof GuestError) return error;
      throw error;
    }
    throw new Error("it was not refused");
  };

  describe("a followed file", () => {
    test("what is appended comes, and nothing that was there before", () => {
      writeFileSync(local.path("log"), "before\n");
      const tail = local.run(local.guest.main.tail(local.at("log"), "end"));
      appendFileSync(local.path("log"), "one\n");
      expectNext(tail, "one\n");
      appendFileSync(local.path("log"), "two\n");
      expectNext(tail, "two\n");
      expect(tail.ended).toBe(false);
      close(tail);
      expect(tail.ended).toBe(true);
    });

    test("it begins at an offset, before the end, or at the start when there is less", () => {
      writeFileSync(local.path("long"), "0123456789");
      const { main } = local.guest;
      const starts = [
        [{ offset: 0 }, "0123456789"],
        [{ offset: 7 }, "789"],
        [{ fromEnd: 2 }, "89"],
        [{ fromEnd: 200 }, "0123456789"],
        [{ fromEnd: 0 }, ""],
        [{ offset: 200 }, ""],
      ] as const;
      for (const [start, wanted] of starts) {
        const tail = local.run(main.tail(local.at("long"), start));
        writeFileSync(local.path("long"), "0123456789.", { flag: "r+" });
        expectNext(tail, `${wanted}.`);
        close(tail);
        truncateSync(local.path("long"), 10);
      }
    });

    test("a file that is cut is read from its start again", () => {
      writeFileSync(local.path("cut"), "a long first line\n");
      const tail = local.run(local.guest.main.tail(local.at("cut"), { offset: 0 }));
      expectNext(tail, "a long first line\n");
      writeFileSync(local.path("cut"), "short\n");
      expectNext(tail, "short\n");
      close(tail);
    });

    test("also one that is cut before all of its first content was taken", () => {
      writeFileSync(local.path("early"), "0123456789abcdef".repeat(2 ** 19));
      const tail = local.run(local.guest.main.tail(local.at("early"), { offset: 0 }));
      // The reader is held back now: it has sent a part of the file and looked at nothing else of it.
      local.wait(() => tail.take(1) !== undefined);
      writeFileSync(local.path("early"), "short\n");
      let seen = "";
      local.wait(() => {
        for (let piece = tail.take(65_536); piece !== undefined; piece = tail.take(65_536))
          seen = (seen + text(piece)).slice(-6);
        return seen === "short\n" || tail.ended;
      });
      expect(seen).toBe("short\n");
      close(tail);
    });

    test("a file that is rotated is read to its end, and the new one from its start", () => {
      writeFileSync(local.path("rot"), "");
      const tail = local.run(local.guest.main.tail(local.at("rot"), "end"));
      for (let round = 0; round < 5; round++) {
        appendFileSync(local.path("rot"), `last of ${round}\n`);
        renameSync(local.path("rot"), local.path("rot.1"));
        writeFileSync(local.path("rot"), `first of ${round + 1}\n`);
        expectNext(tail, `last of ${round}\nfirst of ${round + 1}\n`);
      }
      unlinkSync(local.path("rot"));
      writeFileSync(local.path("rot"), "after a deletion\n");
      expectNext(tail, "after a deletion\n");
      close(tail);
    });

    test("an open file is followed from its cursor, which stays where it is", () => {
      writeFileSync(local.path("open"), "0123456789");
      const { main } = local.guest;
      const fd = local.run(main.open(local.at("open"), 1));
      local.run(main.seek(fd, 4, "set"));
      const tail = local.run(main.tailFd(fd));
      expectNext(tail, "456789");
      appendFileSync(local.path("open"), "ab");
      expectNext(tail, "ab");
      expect(local.run(main.seek(fd, 0, "cur"))).toBe(4);
      close(tail);
      const named = local.run(main.tailFd(fd, local.at("open")));
      expectNext(named, "456789ab");
      renameSync(local.path("open"), local.path("open.1"));
      writeFileSync(local.path("open"), "new");
      expectNext(named, "new");
      close(named);
      local.run(main.closeFd(fd));
    });

    test("what cannot be followed is refused with its errno", () => {
      mkdirSync(local.path("dir"));
      const { main } = local.guest;
      expect(refusal(() => local.run(main.tail(local.at("none"), "end"))).errno).toBe(ENOENT);
      expect(refusal(() => local.run(main.tail(local.at("dir"), "end"))).errno).toBe(EISDIR);
      expect(refusal(() => local.run(main.tailFd(777))).errno).toBe(EBADF);
      expect(refusal(() => local.run(main.fdStream(777))).errno).toBe(EBADF);
    });

    test("megabytes that nobody takes hold the reader back, and all of them come", () => {
      const size = 40 * 1024 * 1024;
      writeFileSync(local.path("big"), Buffer.alloc(size, "x"));
      const tail = local.run(local.guest.main.tail(local.at("big"), { offset: 0 }));
      local.wait(() => tail.pending >= 16 * 1024 * 1024);
      let most = 0;
      let taken = 0;
      local.wait(() => {
        most = Math.max(most, tail.pending);
        for (let piece = tail.take(1 << 20); piece !== undefined; piece = tail.take(1 << 20))
          taken += piece.byteLength;
        return taken >= size;
      });
      expect(taken).toBe(size);
      expect(most).toBeLessThan(18 * 1024 * 1024);
      close(tail);
    });
  });

  describe("a descriptor", () => {
    const pipe = (): [number, number] => {
      const { out } = local.run(
        local.guest.main.syscall({
          nr: SYS_PIPE2,
          args: [0, 0],
          bufs: [new Uint8Array(8)],
          ptrs: [0],
          nested: [],
        }),
      );
      const fds = new DataView((out[0] as Uint8Array).slice().buffer);
      return [fds.getInt32(0, true), fds.getInt32(4, true)];
    };

    test("a pipe is read until its last writer has closed it", () => {
      const { main } = local.guest;
      const [reads, writes] = pipe();
      const stream = local.run(main.fdStream(reads));
      local.run(main.write(writes, bytes("first")));
      expectNext(stream, "first");
      local.run(main.write(writes, bytes("second")));
      local.run(main.closeFd(writes));
      expectNext(stream, "second");
      local.wait(() => stream.ended);
      expect(stream.failure).toBeUndefined();
      local.run(main.closeFd(reads));
      close(stream);
    });

    test("a device is read as it comes", () => {
      const { main } = local.guest;
      const fd = local.run(main.open(bytes("/dev/zero"), 1));
      const stream = local.run(main.fdStream(fd));
      local.wait(() => stream.pending > 1024 * 1024);
      expect(stream.take(3)).toEqual(new Uint8Array(3));
      close(stream);
      expect(stream.pending).toBe(0);
      local.run(main.closeFd(fd));
    });

    test("one that cannot be read ends with the reason", () => {
      const { main } = local.guest;
      const fd = local.run(main.open(local.at("."), 1));
      const stream = local.run(main.fdStream(fd));
      local.wait(() => stream.ended && stream.failure !== undefined);
      expect((stream.failure as GuestError).errno).toBe(EISDIR);
      local.run(main.closeFd(fd));
      close(stream);
    });
  });

  test("the output of a command can be taken as it comes", () => {
    const process = local.run(
      local.guest.main.start({
        argv: [
          bytes("/bin/sh"),
          bytes("-c"),
          bytes("echo one; read x; echo two $x; echo err >&2; read y; exit 3"),
        ],
        env: [],
        envClear: false,
        stdinOpen: true,
        timeoutMs: 0,
      }),
    );
    expectNext(process.stream(1), "one\n");
    local.run(process.stdinWrite(bytes("a\n")));
    expectNext(process.stream(1), "two a\n");
    expectNext(process.stream(2), "err\n");
    local.run(process.stdinClose());
    const result = local.run(process.wait(NEVER));
    expect([result?.code, text(result?.stdout ?? bytes("?"))]).toEqual([3, ""]);
    expect([process.stream(1).ended, process.stream(2).ended]).toEqual([true, true]);
    local.run(process.close(0));
  });

  test("after all of it the agent holds no process", () => {
    local.wait(() => local.run(local.guest.state()).processes === 0);
  });
});

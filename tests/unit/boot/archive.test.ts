import { afterEach, describe, expect, setSystemTime, test } from "bun:test";
import {
  type ArchiveEntry,
  buildArchive,
  concatenateArchives,
  readArchive,
} from "../../../src/boot/archive.ts";

const file = (name: string, data: Uint8Array | string, mode = 0o644): ArchiveEntry => ({
  type: "file",
  name,
  mode,
  data: typeof data === "string" ? Buffer.from(data) : data,
});

afterEach(() => {
  setSystemTime();
});

describe("newc archives", () => {
  test("what is written is read back: names, modes and contents, binary and empty ones too", () => {
    const big = new Uint8Array(300_001).map((_, i) => i * 7);
    const archive = buildArchive([
      { type: "directory", name: "etc", mode: 0o1777 },
      file("etc/binary", big, 0o600),
      file("etc/empty", ""),
      file("etc/größe-日本", "x"),
    ]);
    const { entries, end } = readArchive(archive);
    expect(entries.map(({ name, kind, mode }) => [name, kind, mode])).toEqual([
      ["etc", "directory", 0o1777],
      ["etc/binary", "file", 0o600],
      ["etc/empty", "file", 0o644],
      ["etc/größe-日本", "file", 0o644],
    ]);
    expect(Buffer.from(entries[1]!.data).equals(big)).toBe(true);
    expect(entries[2]!.data.length).toBe(0);
    expect(end).toBeLessThanOrEqual(archive.length);
  });

  test("equal entries give equal bytes, whatever the time", () => {
    const entries = [file("a", "1"), file("b", "22")];
    setSystemTime(new Date("2001-02-03"));
    const first = buildArchive(entries);
    setSystemTime(new Date("2031-02-03"));
    expect(Buffer.from(buildArchive(entries)).equals(first)).toBe(true);
  });

  test("the bytes are complete before the event loop turns", () => {
    let ticked = false;
    process.nextTick(() => {
      ticked = true;
    });
    const archive = buildArchive([file("a", new Uint8Array(1 << 20))]);
    expect(ticked).toBe(false);
    expect(readArchive(archive).entries[0]!.data.length).toBe(1 << 20);
  });

  test("every archive begins on a multiple of four bytes behind one of odd length", () => {
    for (const length of [1, 2, 3, 4, 513]) {
      const first = new Uint8Array(length).fill(1);
      const both = concatenateArchives([first, buildArchive([file("a", "1")])]);
      const at = Math.ceil(length / 4) * 4;
      expect(Buffer.from(both.subarray(at, at + 6)).toString()).toBe("070701");
      expect(both.length % 4).toBe(0);
    }
  });

  test("a damaged, cut or foreign archive is refused", () => {
    const archive = buildArchive([file("a", "123")]);
    expect(() => readArchive(archive.subarray(0, 113))).toThrow("ends inside an entry");
    expect(() => readArchive(archive.subarray(0, 116))).toThrow("no end");
    expect(() => readArchive(Buffer.from("x".repeat(200)))).toThrow("no archive header at byte 0");
    const wrong = Uint8Array.from(archive);
    wrong[14] = 0x7a;
    expect(() => readArchive(wrong)).toThrow("damaged archive header");
  });
});

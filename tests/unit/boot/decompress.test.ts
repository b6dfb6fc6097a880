import { describe, expect, test } from "bun:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { compressionOf, decompress } from "../../../src/boot/decompress.ts";
import { decodeLz4 } from "../../../src/boot/lz4.ts";

const text = Buffer.from("to be or not to be, that is the question. ".repeat(500));

/** One legacy LZ4 block: `abcd`, then 12 bytes copied from 4 back, then `end`. */
const block = Buffer.from([0x48, ...Buffer.from("abcd"), 0x04, 0x00, 0x30, ...Buffer.from("end")]);
const lz4 = (blocks: readonly Buffer[]): Buffer =>
  Buffer.concat([
    Buffer.from([0x02, 0x21, 0x4c, 0x18]),
    ...blocks.flatMap((one) => {
      const size = Buffer.alloc(4);
      size.writeUInt32LE(one.length);
      return [size, one];
    }),
  ]);

describe("decompression", () => {
  test("the first bytes tell the format", () => {
    expect(compressionOf(gzipSync(text))).toBe("gzip");
    expect(compressionOf(zstdCompressSync(text))).toBe("zstd");
    expect(compressionOf(lz4([block]))).toBe("lz4");
    expect(compressionOf(text)).toBe("none");
  });

  test("gzip, zstd and what is not compressed come out as they went in", async () => {
    for (const packed of [gzipSync(text), zstdCompressSync(text), text])
      expect(Buffer.from(await decompress(packed, "x")).equals(text)).toBe(true);
  });

  test("xz is unpacked where the program is installed, else its absence is named", async () => {
    const xz = Bun.which("xz");
    const header = Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]);
    if (xz === null) {
      await expect(decompress(header, "module a.ko.xz")).rejects.toThrow("the program `xz` is missing");
      return;
    }
    const packed = Bun.spawnSync([xz, "-c"], { stdin: text }).stdout;
    expect(Buffer.from(await decompress(packed, "x")).equals(text)).toBe(true);
    await expect(decompress(header, "module a.ko.xz")).rejects.toThrow("module a.ko.xz: xz cannot unpack it");
  });

  test("LZ4 blocks follow one another, matches overlap themselves", () => {
    expect(Buffer.from(decodeLz4(lz4([block, block]))).toString()).toBe(
      "abcdabcdabcdabcdendabcdabcdabcdabcdend",
    );
    expect(decodeLz4(lz4([block]), 19).length).toBe(19);
  });

  test("damaged LZ4 never reads or writes outside", () => {
    expect(() => decodeLz4(lz4([block]), 18)).toThrow(RangeError);
    expect(() => decodeLz4(lz4([block]), 20)).toThrow("announced were 20");
    expect(() => decodeLz4(lz4([Buffer.from([0x10, 0x61, 0x05, 0x00])]))).toThrow("outside the data");
    for (let cut = 4; cut < lz4([block]).length; cut++) {
      try {
        decodeLz4(lz4([block]).subarray(0, cut));
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError);
      }
    }
  });
});

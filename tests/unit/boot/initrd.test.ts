import { describe, expect, test } from "bun:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { buildArchive } from "../../../src/boot/archive.ts";
import { readInitrd } from "../../../src/boot/initrd.ts";

const archive = (...directories: string[]): Uint8Array =>
  buildArchive(directories.map((name) => ({ type: "directory", name, mode: 0o755 })));

describe("the user's initramfs", () => {
  test("its directories are known, others are not", async () => {
    const { known } = await readInitrd(archive("sbin", "usr", "usr/lib"), "/boot/initrd");
    expect(["sbin", "usr/lib", "tmp"].map(known)).toEqual([true, true, false]);
  });

  test("compressed archives behind an uncompressed one (microcode) are looked into", async () => {
    for (const pack of [gzipSync, zstdCompressSync]) {
      const both = Buffer.concat([archive("kernel"), Buffer.alloc(512), pack(archive("bin"))]);
      const { known } = await readInitrd(both, "/boot/initrd");
      expect(["kernel", "bin", "sbin"].map(known)).toEqual([true, true, false]);
    }
  });

  test("is unpacked when it is LZ4, whose end the kernel could not tell", async () => {
    const inside = archive("bin");
    // One block of literals only: 15 in the token, the rest in bytes of 255.
    const more = inside.length - 15;
    const literals = [0xf0, ...new Array<number>(Math.floor(more / 255)).fill(255), more % 255, ...inside];
    const size = Buffer.alloc(4);
    size.writeUInt32LE(literals.length);
    const packed = Buffer.concat([Buffer.from([0x02, 0x21, 0x4c, 0x18]), size, Buffer.from(literals)]);
    const { known, base } = await readInitrd(Buffer.concat([archive("kernel"), packed]), "/boot/initrd");
    expect(["kernel", "bin"].map(known)).toEqual([true, true]);
    expect(Buffer.from(base).equals(Buffer.concat([archive("kernel"), inside]))).toBe(true);
    const gzip = gzipSync(inside);
    expect((await readInitrd(gzip, "/boot/initrd")).base).toBe(gzip);
  });

  test.each([
    [Buffer.alloc(0), "the file is empty"],
    [Buffer.from("hello, this is text"), "it begins with 68656c6c6f2c2074"],
    [gzipSync(Buffer.from("hello")), "its gzip data holds no cpio archive"],
    [Buffer.from(archive("bin").subarray(0, 150)), "the archive has no end"],
  ])("what is no initramfs is refused with the reason (%#)", async (data, why) => {
    const refused = readInitrd(data, "/boot/initrd");
    await expect(refused).rejects.toThrow("initrd `/boot/initrd` is not an initramfs");
    await expect(refused).rejects.toThrow(why);
  });
});

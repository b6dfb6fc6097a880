import { describe, expect, test } from "bun:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { buildArchive } from "../../../src/boot/archive.ts";
import { directoriesOf } from "../../../src/boot/initrd.ts";

const archive = (...directories: string[]): Uint8Array =>
  buildArchive(directories.map((name) => ({ type: "directory", name, mode: 0o755 })));

describe("the user's initramfs", () => {
  test("its directories are known, others are not", async () => {
    const known = await directoriesOf(archive("sbin", "usr", "usr/lib"), "/boot/initrd");
    expect(["sbin", "usr/lib", "tmp"].map(known)).toEqual([true, true, false]);
  });

  test("compressed archives behind an uncompressed one (microcode) are looked into", async () => {
    for (const pack of [gzipSync, zstdCompressSync]) {
      const both = Buffer.concat([archive("kernel"), Buffer.alloc(512), pack(archive("bin"))]);
      const known = await directoriesOf(both, "/boot/initrd");
      expect(["kernel", "bin", "sbin"].map(known)).toEqual([true, true, false]);
    }
  });

  test.each([
    [Buffer.alloc(0), "the file is empty"],
    [Buffer.from("hello, this is text"), "it begins with 68656c6c6f2c2074"],
    [gzipSync(Buffer.from("hello")), "its gzip data holds no cpio archive"],
    [Buffer.from(archive("bin").subarray(0, 150)), "the archive has no end"],
  ])("what is no initramfs is refused with the reason (%#)", async (data, why) => {
    const refused = directoriesOf(data, "/boot/initrd");
    await expect(refused).rejects.toThrow("initrd `/boot/initrd` is not an initramfs");
    await expect(refused).rejects.toThrow(why);
  });
});

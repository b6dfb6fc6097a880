import { describe, expect, test } from "bun:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { hasPvhEntry } from "../../../src/boot/elf.ts";
import { extractVmlinux, inspectKernel } from "../../../src/boot/kernel.ts";
import { bzImage, vmlinux } from "./images.ts";

const inspect = (data: Uint8Array) => inspectKernel(data, "/boot/k");

const bz = (data: Uint8Array) => {
  const image = inspect(data);
  if (image.kind !== "bzImage") throw new Error(`a ${image.kind}`);
  return image;
};

describe("kernel images", () => {
  test("a bzImage tells its release", () => {
    expect(bz(bzImage(gzipSync(vmlinux(true)))).release).toBe("6.1.0-test");
  });

  test("a vmlinux tells its release and its PVH entry", () => {
    expect(inspect(vmlinux(true))).toEqual({ kind: "vmlinux", release: "6.1.0-test", pvh: true });
  });

  test.each([
    ["gzip", (data: Uint8Array) => gzipSync(data), false],
    ["zstd", (data: Uint8Array) => zstdCompressSync(data), true],
  ] as const)("the vmlinux in a %s payload comes out as it went in", async (_, pack, sized) => {
    const inside = vmlinux(true);
    const found = await extractVmlinux(
      bz(bzImage(pack(inside), sized ? inside.length : undefined)),
      "/boot/k",
    );
    expect(found !== undefined && Buffer.from(found).equals(inside)).toBe(true);
  });

  test("a vmlinux without the PVH note is not used", async () => {
    expect(await extractVmlinux(bz(bzImage(gzipSync(vmlinux(false)))), "/boot/k")).toBeUndefined();
  });

  test("a damaged payload names the kernel", async () => {
    const packed = gzipSync(vmlinux(true));
    packed.fill(0x55, 20);
    await expect(extractVmlinux(bz(bzImage(packed)), "/boot/k")).rejects.toThrow(
      "kernel `/boot/k`: damaged gzip data",
    );
  });

  test("a cut bzImage is refused", () => {
    const image = bzImage(gzipSync(vmlinux(true)));
    expect(() => inspect(image.subarray(0, image.length - 8))).toThrow(
      "kernel `/boot/k` is not a Linux kernel: it is cut off",
    );
  });

  test.each([
    [new Uint8Array(0), "the file is empty"],
    [Buffer.from("#!/bin/sh\necho hello\n"), "it begins with 23212f62696e2f73"],
    [gzipSync(Buffer.from("hello")), "it is gzip data"],
    [vmlinux(false), "no PVH entry note"],
    [vmlinux(true, "Another system"), "without a kernel's banner"],
  ])("what is no bootable kernel is refused with the reason (%#)", (data, why) => {
    expect(() => inspect(data)).toThrow(why);
  });

  test("damaged ELF headers are no PVH entry and no crash", () => {
    const image = vmlinux(true);
    for (let at = 0; at < 200; at++) {
      for (const byte of [0x00, 0x7f, 0xff]) {
        const damaged = Uint8Array.from(image);
        damaged[at] = byte;
        expect(typeof hasPvhEntry(damaged)).toBe("boolean");
      }
    }
  });
});

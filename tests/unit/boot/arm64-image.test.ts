import { describe, expect, test } from "bun:test";
import { gzipSync } from "node:zlib";
import { readArm64Image } from "../../../src/boot/arm64-image.ts";
import { inspectKernel } from "../../../src/boot/kernel.ts";
import { bzImage, vmlinux } from "./images.ts";

const BANNER = "Linux version 6.1.0-50-cloud-arm64 (builder)";

/** As much of an Image as anybody looks at. */
const image = (): Uint8Array => {
  const bytes = Buffer.alloc(256);
  bytes.write("MZ", 0, "latin1");
  bytes.write("ARM\x64", 0x38, "latin1");
  bytes.write(BANNER, 0x80, "latin1");
  return bytes;
};

/** The same inside a program for firmware. */
const zboot = (payload: Uint8Array): Uint8Array => {
  const head = Buffer.alloc(128);
  head.write("MZ\0\0zimg", 0, "latin1");
  head.writeUInt32LE(128, 8);
  head.writeUInt32LE(payload.length, 12);
  return Buffer.concat([head, payload]);
};

const refusal = async (data: Uint8Array): Promise<{ message: string; hint?: string }> => {
  try {
    await readArm64Image(data, "/k");
  } catch (error) {
    return error as Error;
  }
  throw new Error("nothing was refused");
};

describe("an arm64 kernel", () => {
  test("that is an Image is used as it is", async () => {
    const found = await readArm64Image(image(), "/k");
    expect(found.plain).toBe(true);
    expect(found.release).toBe("6.1.0-50-cloud-arm64");
  });

  test("is found in a gzip file and in a program for firmware", async () => {
    for (const data of [gzipSync(image()), zboot(gzipSync(image()))]) {
      const found = await readArm64Image(data, "/k");
      expect(found.plain).toBe(false);
      expect(Buffer.from(found.image).equals(image())).toBe(true);
      expect(found.release).toBe("6.1.0-50-cloud-arm64");
    }
  });

  test("that is one for x86-64 is refused with what to say", async () => {
    for (const data of [bzImage(gzipSync(vmlinux(true))), vmlinux(true)]) {
      const { message, hint } = await refusal(data);
      expect(message).toBe("kernel `/k` is not a Linux kernel for aarch64: it is one for x86-64");
      expect(hint).toContain('arch = "x86_64"');
    }
  });

  test("that is something else is refused with its first bytes", async () => {
    expect((await refusal(Buffer.alloc(0))).message).toContain("the file is empty");
    expect((await refusal(Buffer.from("#!/bin/sh\n"))).message).toContain("it begins with 23212f62696e2f73");
    expect((await refusal(gzipSync(Buffer.from("text")))).message).toContain("holds no Image");
    expect((await refusal(zboot(gzipSync(image())).subarray(0, 140))).message).toContain("it is cut off");
  });

  test("is refused for an x86-64 machine with what to say", () => {
    try {
      inspectKernel(image(), "/k");
      throw new Error("nothing was refused");
    } catch (error) {
      expect((error as Error).message).toContain("it is one for arm64");
      expect((error as { hint?: string }).hint).toBe('Say arch = "aarch64" in the profile.');
    }
  });
});

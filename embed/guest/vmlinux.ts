/**
 * `bun vmlinux.ts VMLINUZ OUT amd64|arm64`: the kernel that QEMU starts, zstd-compressed, by the same code that serves
 * a user's kernel at run time: the vmlinux inside a bzImage (a third smaller than it, and unpacked in 50 ms), or an
 * arm64 Image.
 */

import { readFileSync, writeFileSync } from "node:fs";
import { constants, zstdCompressSync } from "node:zlib";
import { readArm64Image } from "../../src/boot/arm64-image.ts";
import { extractVmlinux, inspectKernel } from "../../src/boot/kernel.ts";

const [input, output, architecture] = process.argv.slice(2);
if (input === undefined || output === undefined) throw new Error("usage: vmlinux.ts VMLINUZ OUT amd64|arm64");

const vmlinuxIn = async (data: Uint8Array): Promise<Uint8Array> => {
  const image = inspectKernel(data, input);
  const vmlinux = image.kind === "bzImage" ? await extractVmlinux(image, input) : undefined;
  if (vmlinux === undefined) throw new Error(`${input} holds no vmlinux with a PVH entry`);
  return vmlinux;
};

const data = readFileSync(input);
const kernel = architecture === "arm64" ? (await readArm64Image(data, input)).image : await vmlinuxIn(data);
writeFileSync(output, zstdCompressSync(kernel, { params: { [constants.ZSTD_c_compressionLevel]: 19 } }));

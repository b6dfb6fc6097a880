/**
 * `bun vmlinux.ts BZIMAGE OUT`: the vmlinux inside a bzImage, zstd-compressed, by the same code that serves a
 * user's kernel at run time. OUT is a third smaller than the bzImage and unpacks in 50 ms.
 */

import { readFileSync, writeFileSync } from "node:fs";
import { constants, zstdCompressSync } from "node:zlib";
import { extractVmlinux, inspectKernel } from "../../src/boot/kernel.ts";

const [input, output] = process.argv.slice(2);
if (input === undefined || output === undefined) throw new Error("usage: vmlinux.ts BZIMAGE OUT");
const image = inspectKernel(readFileSync(input), input);
const vmlinux = image.kind === "bzImage" ? await extractVmlinux(image, input) : undefined;
if (vmlinux === undefined) throw new Error(`${input} holds no vmlinux with a PVH entry`);
writeFileSync(output, zstdCompressSync(vmlinux, { params: { [constants.ZSTD_c_compressionLevel]: 19 } }));

/** Files that claim to be kernels, initial file systems and module lists: read as such, or refused. */

import { buildArchive, readArchive } from "../../../src/boot/archive.ts";
import { isArm64Image } from "../../../src/boot/arm64-image.ts";
import { hasPvhEntry } from "../../../src/boot/elf.ts";
import { inspectKernel } from "../../../src/boot/kernel.ts";
import { decodeLz4, LZ4_LEGACY_MAGIC } from "../../../src/boot/lz4.ts";
import { loadOrder, moduleIndex } from "../../../src/boot/modules.ts";
import { HostError } from "../../../src/errors/errors.ts";
import { bzImage, vmlinux } from "../../unit/boot/images.ts";
import { joined } from "../../unit/packet/frames.ts";
import { bytesOf, must, type Target } from "../target.ts";

const le32 = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);

const ARCHIVE = buildArchive([
  { type: "directory", name: "bin", mode: 0o755 },
  { type: "file", name: "bin/init", mode: 0o755, data: bytesOf("#!/bin/sh\n") },
]);
/** "abcdabcdabcd…": four literals and a match. */
const LZ4_BLOCK = joined([0x4f], bytesOf("abcd"), [4, 0, 30, 0x10], bytesOf("e"));
const LZ4 = joined(le32(LZ4_LEGACY_MAGIC), le32(LZ4_BLOCK.byteLength), LZ4_BLOCK);
const MODULES = "kernel/a.ko.xz: kernel/b-c.ko kernel/d.ko\nkernel/b-c.ko: kernel/d.ko\nkernel/d.ko:\n";

/** The result; undefined where the bytes were refused with one of these errors. */
const refusable = <T>(
  read: () => T,
  ...errors: readonly (new (
    ...args: never[]
  ) => Error)[]
): T | undefined => {
  try {
    return read();
  } catch (error) {
    if (!errors.some((expected) => error instanceof expected)) throw error;
    return undefined;
  }
};

const inside = (part: Uint8Array, whole: Uint8Array): boolean =>
  part.byteOffset >= whole.byteOffset &&
  part.byteOffset + part.byteLength <= whole.byteOffset + whole.byteLength;

export const boot: Target = {
  name: "boot",
  source: import.meta.file,
  seeds: [vmlinux(true), vmlinux(false), bzImage(LZ4, 33), ARCHIVE, LZ4, MODULES],
  words: [
    ...[
      "HdrS",
      "\u007fELF\u0002\u0001\u0001",
      "ARM\u0064",
      "Xen\0",
      "Linux version 6",
      "070701",
      "TRAILER!!!",
    ],
    ...[".ko", ".ko.zst", ": ", "\n", "../", "FFFFFFFF", "00000000", le32(LZ4_LEGACY_MAGIC)],
  ],
  run: (input) => {
    const image = refusable(() => inspectKernel(input, "k"), HostError);
    if (image?.kind === "bzImage" && image.payload !== undefined)
      must(inside(image.payload, input), "the payload is a part of the image");
    hasPvhEntry(input);
    isArm64Image(input);
    const archive = refusable(() => readArchive(input), RangeError);
    must(archive === undefined || archive.end <= input.byteLength, "an archive ends within the file");
    for (const { data, name } of archive?.entries ?? [])
      must(inside(data, input) && !name.startsWith("/"), "an entry is a part of the archive, below the root");
    refusable(() => decodeLz4(input), RangeError);
    must(
      (refusable(() => decodeLz4(input, 4096), RangeError)?.byteLength ?? 4096) === 4096,
      "as much as announced",
    );
    const index = moduleIndex(new TextDecoder().decode(input));
    const { paths, missing } = loadOrder(index, [...index.files.keys(), "none"]);
    must(new Set(paths).size === paths.length, "no module twice");
    must(
      missing.every((name) => !index.files.has(name)),
      "what is there is not missing",
    );
  },
};

/**
 * arm64 kernels. QEMU starts an `Image`; what distributions ship is that, or the same compressed: as a gzip file, or
 * inside a program for UEFI firmware ("zboot") which a machine without firmware cannot start.
 *
 * Sources: Documentation/arch/arm64/booting.rst; drivers/firmware/efi/libstub/zboot-header.S.
 */

import { HostError } from "../errors/errors.ts";
import { compressionOf, decompress } from "./decompress.ts";
import { isElf } from "./elf.ts";
import { bannerRelease, isBzImage } from "./kernel.ts";

const MAGIC_AT = 0x38;
const MAGIC = "ARM\x64";
const ZBOOT_MAGIC_AT = 4;
const ZBOOT_MAGIC = "zimg";
const ZBOOT_OFFSET = 8;
const ZBOOT_SIZE = 12;
const ZBOOT_HEADER = 64;

const textAt = (data: Uint8Array, at: number, length: number): string =>
  Buffer.from(data.subarray(at, at + length)).toString("latin1");

export const isArm64Image = (data: Uint8Array): boolean =>
  data.length > 64 && textAt(data, MAGIC_AT, MAGIC.length) === MAGIC;

const isZboot = (data: Uint8Array): boolean =>
  data.length > ZBOOT_HEADER && textAt(data, ZBOOT_MAGIC_AT, ZBOOT_MAGIC.length) === ZBOOT_MAGIC;

export interface Arm64Image {
  /** The bytes of the Image itself. */
  readonly image: Uint8Array;
  /** They are the file as it is. */
  readonly plain: boolean;
  /** What `uname -r` will say, from the banner inside; undefined when there is none. */
  readonly release: string | undefined;
}

const notForArm64 = (path: string, why: string, hint?: string): HostError =>
  new HostError(`kernel \`${path}\` is not a Linux kernel for aarch64: ${why}`, {
    hint: hint ?? "Name an Image (as in /boot/vmlinuz-* on arm64, or arch/arm64/boot/Image of a build).",
  });

const packedIn = (data: Uint8Array, path: string): Uint8Array | undefined => {
  if (!isZboot(data)) return compressionOf(data) === "none" ? undefined : data;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const [offset, size] = [view.getUint32(ZBOOT_OFFSET, true), view.getUint32(ZBOOT_SIZE, true)];
  if (offset + size > data.length)
    throw notForArm64(path, `it is cut off (${data.length} bytes, its header announces ${offset + size})`);
  return data.subarray(offset, offset + size);
};

/** The Image in the bytes of a kernel file. Throws HostError, naming `path`, when there is none. */
export const readArm64Image = async (data: Uint8Array, path: string): Promise<Arm64Image> => {
  if (data.length === 0) throw notForArm64(path, "the file is empty");
  if (isArm64Image(data) && !isZboot(data)) return { image: data, plain: true, release: bannerRelease(data) };
  if (
    isBzImage(data) ||
    (isElf(data) && new DataView(data.buffer, data.byteOffset).getUint16(18, true) === 62)
  )
    throw notForArm64(
      path,
      "it is one for x86-64",
      'Leave `arch` out of the profile, or say arch = "x86_64".',
    );
  if (isElf(data))
    throw notForArm64(path, "an ELF file cannot be started", "Name the Image of the same build.");
  const packed = packedIn(data, path);
  const image = packed && (await decompress(packed, `kernel \`${path}\``));
  if (image === undefined || !isArm64Image(image))
    throw notForArm64(
      path,
      `it begins with ${Buffer.from(data.subarray(0, 8)).toString("hex")}${image === undefined ? "" : ` and holds no Image`}`,
    );
  return { image, plain: false, release: bannerRelease(image) };
};

/**
 * Kernel images for x86-64; those for arm64 are in arm64-image.ts. A bzImage carries a compressed vmlinux; entering that one directly (PVH) saves the guest the
 * unpacking, a third of a second under TCG. What cannot be entered through PVH boots as the bzImage it is.
 *
 * Offsets are those of the x86 boot protocol (Documentation/arch/x86/boot.rst).
 */

import { HostError } from "../errors/errors.ts";
import { compressionOf, decompress } from "./decompress.ts";
import { hasPvhEntry, isElf } from "./elf.ts";

const SETUP_SECTORS = 0x1f1;
const BOOT_FLAG = 0x1fe;
const HEADER_MAGIC = 0x202;
const PROTOCOL = 0x206;
const KERNEL_VERSION = 0x20e;
const PAYLOAD_OFFSET = 0x248;
const PAYLOAD_LENGTH = 0x24c;
/** Where an arm64 Image has its magic number. */
const ARM64_MAGIC = 0x38;
/** The first boot protocol whose header says where the payload is. */
const PROTOCOL_WITH_PAYLOAD = 0x0208;

export interface BzImage {
  readonly kind: "bzImage";
  /** What `uname -r` will say; undefined when the header does not tell. */
  readonly release: string | undefined;
  /** The compressed vmlinux, undefined for protocols older than 2.08. */
  readonly payload: Uint8Array | undefined;
}

export interface Vmlinux {
  readonly kind: "vmlinux";
  readonly release: string | undefined;
  readonly pvh: boolean;
}

export type KernelImage = BzImage | Vmlinux;

const hexHead = (data: Uint8Array): string => Buffer.from(data.subarray(0, 8)).toString("hex");

const notAKernel = (path: string, why: string, hint?: string): HostError =>
  new HostError(`kernel \`${path}\` is not a Linux kernel: ${why}`, {
    hint:
      hint ?? "Name a bzImage (as in /boot/vmlinuz-*) or an uncompressed vmlinux in the profile's `kernel`.",
  });

const bzImage = (data: Uint8Array, path: string): BzImage => {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const protocol = view.getUint16(PROTOCOL, true);
  const versionAt = view.getUint16(KERNEL_VERSION, true) + 0x200;
  const version = Buffer.from(data.subarray(versionAt, versionAt + 256)).toString("latin1");
  const release = /^([0-9][\x21-\x7e]*)/.exec(version)?.[1];
  if (protocol < PROTOCOL_WITH_PAYLOAD) return { kind: "bzImage", release, payload: undefined };
  // Zero setup sectors mean four, for historical reasons.
  const start = ((data[SETUP_SECTORS] || 4) + 1) * 512 + view.getUint32(PAYLOAD_OFFSET, true);
  const length = view.getUint32(PAYLOAD_LENGTH, true);
  if (start + length > data.length)
    throw notAKernel(path, `it is cut off (${data.length} bytes, its header announces ${start + length})`);
  return { kind: "bzImage", release, payload: data.subarray(start, start + length) };
};

const BANNER = Buffer.from("Linux version ");

/** The release in a vmlinux's banner, "Linux version 6.1.0-56-cloud-amd64 (…". */
export const bannerRelease = (data: Uint8Array): string | undefined => {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  for (let at = bytes.indexOf(BANNER); at >= 0; at = bytes.indexOf(BANNER, at + 1)) {
    const release = /^Linux version ([0-9][\x21-\x7e]*)/.exec(bytes.toString("latin1", at, at + 200))?.[1];
    if (release !== undefined) return release;
  }
  return undefined;
};

export const isBzImage = (data: Uint8Array): boolean =>
  data.length > PAYLOAD_LENGTH + 4 &&
  data[BOOT_FLAG] === 0x55 &&
  data[BOOT_FLAG + 1] === 0xaa &&
  Buffer.from(data.subarray(HEADER_MAGIC, HEADER_MAGIC + 4)).toString("latin1") === "HdrS";

/** What kind of kernel for x86-64 the bytes are. Throws HostError, naming `path`, when they are none. */
export const inspectKernel = (data: Uint8Array, path: string): KernelImage => {
  if (data.length === 0) throw notAKernel(path, "the file is empty");
  if (isElf(data)) {
    const kernel: Vmlinux = { kind: "vmlinux", release: bannerRelease(data), pvh: hasPvhEntry(data) };
    if (kernel.release === undefined) throw notAKernel(path, "it is an ELF file without a kernel's banner");
    if (!kernel.pvh)
      throw notAKernel(
        path,
        "this vmlinux has no PVH entry note",
        "Use the bzImage of the same build (arch/x86/boot/bzImage), or build with CONFIG_PVH=y.",
      );
    return kernel;
  }
  if (isBzImage(data)) return bzImage(data, path);
  if (Buffer.from(data.subarray(ARM64_MAGIC, ARM64_MAGIC + 4)).toString("latin1") === "ARM\x64")
    throw notAKernel(path, "it is one for arm64", 'Say arch = "aarch64" in the profile.');
  const compression = compressionOf(data);
  if (compression !== "none")
    throw notAKernel(
      path,
      `it is ${compression} data`,
      "Unpack the file; if it holds a vmlinux, name that one.",
    );
  throw notAKernel(path, `neither a bzImage header nor an ELF file (it begins with ${hexHead(data)})`);
};

/**
 * The vmlinux inside a bzImage when it can be entered through PVH, else undefined: an old kernel, or one
 * without the note. Throws HostError when the payload is damaged or its decompressor is missing on this host.
 */
export const extractVmlinux = async (image: BzImage, path: string): Promise<Uint8Array | undefined> => {
  const payload = image.payload;
  if (payload === undefined || payload.length < 8) return undefined;
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  // The build appends the unpacked size to every format but gzip, whose own trailer says the same.
  const size = view.getUint32(payload.length - 4, true);
  const gzip = compressionOf(payload) === "gzip";
  const packed = gzip ? payload : payload.subarray(0, payload.length - 4);
  const vmlinux = await decompress(packed, `kernel \`${path}\``, size);
  return hasPvhEntry(vmlinux) ? vmlinux : undefined;
};

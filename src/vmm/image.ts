/** Looks at a kernel or initrd before QEMU does: QEMU would boot garbage and wait for ever. */

import { closeSync, openSync, readSync } from "node:fs";
import { ConfigError } from "../errors/errors.ts";

const HEAD_BYTES = 0x206;

/**
 * Magic numbers by offset: ELF; the setup header of an x86 bzImage (Documentation/arch/x86/boot.rst of Linux); the
 * header of an arm64 Image (Documentation/arch/arm64/booting.rst).
 */
const KERNELS = [
  { offset: 0, magic: "\x7fELF" },
  { offset: 0x202, magic: "HdrS" },
  { offset: 0x38, magic: "ARM\x64" },
] as const;

const head = (path: string): Uint8Array => {
  const fd = openSync(path, "r");
  try {
    const bytes = new Uint8Array(HEAD_BYTES);
    return bytes.subarray(0, readSync(fd, bytes, 0, HEAD_BYTES, 0));
  } finally {
    closeSync(fd);
  }
};

/** Throws a `ConfigError` that names the file when it cannot be read or cannot be what it should be. */
export const checkImage = (what: "kernel" | "initrd", path: string | undefined): void => {
  if (path === undefined) return;
  let bytes: Uint8Array;
  try {
    bytes = head(path);
  } catch (cause) {
    throw new ConfigError(
      `cannot read the ${what} ${path}: ${cause instanceof Error ? cause.message : cause}`,
      {
        cause,
      },
    );
  }
  if (bytes.byteLength === 0) throw new ConfigError(`the ${what} ${path} is empty`);
  if (what === "initrd") return;
  const text = new TextDecoder("latin1").decode(bytes);
  if (!KERNELS.some(({ offset, magic }) => text.startsWith(magic, offset)))
    throw new ConfigError(`the kernel ${path} is neither a bzImage, an ELF file nor an arm64 Image`, {
      hint: "give the kernel as /boot/vmlinuz-… or as an uncompressed vmlinux",
    });
};

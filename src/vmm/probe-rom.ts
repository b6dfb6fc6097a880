/**
 * A firmware image whose only purpose is to prove that a virtual CPU works: from the reset vector into 64-bit
 * mode, one 64-bit shift, and out through QEMU's isa-debug-exit device. No RAM contents, BIOS or kernel needed.
 *
 * The last 256 bytes of the image hold the program; the CPU starts at the far jump 16 bytes before the end.
 * Sources: Intel SDM volume 3, "Initializing IA-32e mode"; docs of QEMU's isa-debug-exit.
 */

/** Where isa-debug-exit listens, and the exit status of QEMU that proves the point: `(value << 1) | 1`. */
export const EXIT_PORT = 0xf4;
const EXIT_VALUE = 0x2a;
export const PROVEN_STATUS = (EXIT_VALUE << 1) | 1;

const IMAGE_BYTES = 64 * 1024;
const PROGRAM_OFFSET = IMAGE_BYTES - 256;
const RESET_OFFSET = IMAGE_BYTES - 16;

const PROGRAM = [
  "fa", //                        cli
  "31c0 8ed8", //                 ds = 0
  "66c7060010 03200000", //       [0x1000] page-map level 4: entry 0 -> 0x2000
  "66c7060020 03300000", //       [0x2000] directory pointers: entry 0 -> 0x3000
  "66c7060030 83000000", //       [0x3000] directory: entry 0 = 2 MiB page at 0, where this image is mirrored
  "66b800100000 0f22d8", //       cr3 = 0x1000
  "66b820000000 0f22e0", //       cr4 = PAE
  "66b9800000c0 0f32 660d00010000 0f30", // EFER |= LME
  "2e660f011680ff", //            lgdt cs:[gdtr]
  "66b811000080 0f22c0", //       cr0 = PG | ET | PE
  "66ea5aff0f000800", //          jump to 64-bit code at 0xfff5a
  "48b8000000002a000000", //      rax = 0x2a00000000
  "48c1e820", //                  rax >>= 32
  "66baf400 ef", //               out dx = 0xf4, eax
  "f4 ebfd", //                   hlt, for ever
  "0000000000000000 ffff0000009aaf00", // gdt: null, 64-bit code
  "0f0070ff0f00", //              gdtr: 15, 0xfff70
];
const RESET = "ea00ff00f0"; //    jump to f000:ff00, the program

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.replaceAll(" ", ""), "hex"));

export const probeRom = (): Uint8Array => {
  const image = new Uint8Array(IMAGE_BYTES).fill(0xff);
  image.set(bytes(PROGRAM.join("")), PROGRAM_OFFSET);
  image.set(bytes(RESET), RESET_OFFSET);
  return image;
};

/**
 * Firmware images whose only purpose is to prove that a virtual CPU works. No RAM contents, BIOS or kernel needed.
 *
 * x86-64: from the reset vector into 64-bit mode, one 64-bit shift, and out through QEMU's isa-debug-exit device. The
 * last 256 bytes of the image hold the program; the CPU starts at the far jump 16 bytes before the end.
 * A second one runs CMPXCHG8B and looks at the flags behind it.
 * arm64: from address 0 straight to PSCI, which powers the machine off.
 * Sources: Intel SDM volume 3, "Initializing IA-32e mode"; docs of QEMU's isa-debug-exit; Arm DEN 0022 (PSCI),
 * SYSTEM_OFF.
 */

import type { Architecture } from "../sys/architecture.ts";

export interface Probe {
  readonly image: () => Uint8Array;
  /** The machine that runs it, without accelerator and CPU. */
  readonly machine: readonly string[];
  /** The exit status of QEMU that proves the point. */
  readonly proof: number;
}

/** Where isa-debug-exit listens, and what it is told: QEMU's exit status is then `(value << 1) | 1`. */
const EXIT_PORT = 0xf4;
const EXIT_VALUE = 0x2a;

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

const pc = (program: readonly string[]): Probe => ({
  image: () => {
    const image = new Uint8Array(IMAGE_BYTES).fill(0xff);
    image.set(bytes(program.join("")), PROGRAM_OFFSET);
    image.set(bytes(RESET), RESET_OFFSET);
    return image;
  },
  machine: ["-machine", "q35", "-device", `isa-debug-exit,iobase=${EXIT_PORT},iosize=4`],
  proof: (EXIT_VALUE << 1) | 1,
});

const X86 = pc(PROGRAM);

const FLAGS_PROGRAM = [
  "fa", //                        cli
  "31c0 8ed8 8ed0 bc0020", //     ds = ss = 0, sp = 0x2000
  "6631d2 6631c9 6631db", //      edx = ecx = ebx = 0
  "6a02 9d", //                   flags = 2: from here on the emulator has them as they are
  "66b800005a5a", //              eax = 0x5a5a0000
  "663d00005a5a", //              compare it with itself
  "0fc70e0010", //                cmpxchg8b [0x1000]
  "669c 6658 66c1e810 6685c0", // the upper half of the flags, where all is zero
  "b02a 7402 b02b", //            al = zero ? 0x2a : 0x2b
  "baf400 ee", //                 out dx = 0xf4, al
  "f4 ebfd", //                   hlt, for ever
];

/** Whether CMPXCHG8B leaves the flags as they should be: the proof of a PC's CPU that does (flags-fault.ts). */
export const FLAGS_PROBE = pc(FLAGS_PROGRAM);

const ARM64_PROGRAM = [
  "00018052", // mov w0, #0x8
  "0080b072", // movk w0, #0x8400, lsl #16: SYSTEM_OFF
  "020000d4", // hvc #0
  "00000014", // b ., for ever
];

const ARM64: Probe = {
  image: () => bytes(ARM64_PROGRAM.join("")),
  machine: ["-machine", "virt,gic-version=host"],
  // As after any other power-off; a CPU that cannot run never gets there.
  proof: 0,
};

export const PROBES: Readonly<Record<Architecture, Probe>> = { x86_64: X86, aarch64: ARM64 };

/** What differs from architecture to architecture in a machine: the program, the board, the CPU, the oldest devices. */

import type { LaunchSpec } from "../lab/ports.ts";
import type { Architecture } from "../sys/architecture.ts";
import type { Capabilities } from "./capabilities.ts";
import { BRIDGE, type Plug, ROOT_PORTS } from "./plug.ts";

export interface Board {
  /** QEMU's program, the variable that names another, and where the program comes from. */
  readonly program: string;
  readonly variable: string;
  readonly packages: string;
  /** QEMU's name of the board. */
  readonly type: string;
  /** Options of the board that not every QEMU has. Where one is unknown the board is as if it said so. */
  readonly options: readonly string[];
  /** The board's options, without RAM, which every board takes alike. */
  readonly machine: (spec: Pick<LaunchSpec, "accel" | "rngSeed">) => readonly string[];
  readonly cpu: (spec: Pick<LaunchSpec, "accel" | "rngSeed" | "initialTime">) => string;
  /** The serial port on a chardev. */
  readonly serial: (chardev: string) => readonly string[];
  /** The device that tells of a panic. */
  readonly panic: readonly string[];
  /** The guest-physical address at which RAM begins. */
  readonly ramBase: number;
  /** It has ACPI, by which a guest hears of devices that come and go. */
  readonly acpi: boolean;
}

/** `-machine`, as far as it is the board's: without the options that this QEMU does not know. */
export const machineOption = (
  board: Board,
  spec: Pick<LaunchSpec, "accel" | "rngSeed">,
  { unknownOptions }: Pick<Capabilities, "unknownOptions">,
): string =>
  [
    board.type,
    ...board.machine(spec).filter((word) => !unknownOptions.includes(word.slice(0, word.indexOf("=")))),
  ].join(",");

/** Where devices come and go. */
export const plugOf = ({ acpi }: Board, { acpiPlug }: Pick<Capabilities, "acpiPlug">): Plug =>
  acpi && acpiPlug ? BRIDGE : ROOT_PORTS;

/** Devices of a PC that no test needs. */
const PC_DEVICES = ["i8042", "hpet", "sata", "smbus", "vmport", "usb", "smm"] as const;

const X86: Board = {
  program: "qemu-system-x86_64",
  variable: "PROVIUM_QEMU",
  packages: "Debian, Ubuntu: apt install qemu-system-x86; Fedora: dnf install qemu-system-x86-core",
  type: "q35",
  options: PC_DEVICES,
  machine: () => PC_DEVICES.map((name) => `${name}=off`),
  cpu: ({ accel, rngSeed, initialTime }) => {
    const words =
      // The emulator pays for "fast string" instructions with slow single steps; a guest without them boots sooner.
      accel === "tcg" ? ["max", "erms=off", "fsrm=off"] : ["host"];
    // The paravirtual clock would tell the guest the host's time in place of the one asked for.
    if (initialTime !== undefined && accel === "kvm") words.push("kvmclock=off");
    if (rngSeed !== undefined) words.push("rdrand=off", "rdseed=off");
    return words.join(",");
  },
  serial: (chardev) => ["-device", `isa-serial,chardev=${chardev}`],
  panic: ["-device", "pvpanic"],
  ramBase: 0,
  acpi: true,
};

const ARM64: Board = {
  program: "qemu-system-aarch64",
  variable: "PROVIUM_QEMU_AARCH64",
  packages: "Debian, Ubuntu: apt install qemu-system-arm; Fedora: dnf install qemu-system-aarch64-core",
  type: "virt",
  options: ["dtb-randomness"],
  machine: ({ accel, rngSeed }) => [
    // Version 2 ends at 8 CPUs.
    `gic-version=${accel === "kvm" ? "host" : "3"}`,
    // Else the device tree brings a seed of its own.
    ...(rngSeed === undefined ? [] : ["dtb-randomness=off"]),
  ],
  cpu: ({ accel, rngSeed }) => {
    if (accel === "kvm") return "host";
    // `max` has a generator that nothing turns off. Its pointer authentication is slow to emulate as the
    // architecture defines it; any other algorithm serves as well.
    return rngSeed === undefined ? "max,pauth-impdef=on" : "cortex-a72";
  },
  // The board has its PL011 in any case.
  serial: (chardev) => ["-serial", `chardev:${chardev}`],
  panic: ["-device", "pvpanic-pci,bus=pcie.0,addr=0x6"],
  // Below are flash, interrupt controller and windows of devices.
  ramBase: 2 ** 30,
  acpi: false,
};

export const BOARDS: Readonly<Record<Architecture, Board>> = { x86_64: X86, aarch64: ARM64 };

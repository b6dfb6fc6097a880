/**
 * QEMU's command line as a function of data: what a machine is made of, nothing about how it is run.
 *
 * The board is that of the guest's architecture (architecture.ts). Devices that live as long as the
 * machine sit on the root bus; disks and interfaces sit in the places of plug.ts, because nothing
 * can be unplugged from the root bus.
 */

import { createHash } from "node:crypto";
import { SERIAL_PORT_NAME } from "../guest/messages.ts";
import type { DiskLink, LaunchSpec } from "../lab/ports.ts";
import { BOARDS, machineOption, plugOf } from "./architecture.ts";
import type { Capabilities } from "./capabilities.ts";
import { disk, FIRST_WIRE, format, wire } from "./disks.ts";
import { MAILBOX_BYTES, MAILBOX_PORT } from "./mailbox.ts";
import { netdev, nic } from "./nics.ts";
import type { Plug } from "./plug.ts";
import type { JsonObject } from "./qmp.ts";
import { imageFormat, rootDiskArguments } from "./root-disk.ts";
import { rootTreeArguments } from "./root-tree.ts";

/** The numbers under which QEMU finds the descriptors that it inherits. */
export interface Descriptors {
  /** QMP. */
  readonly monitor: number;
  /** ttyS0 (or ttyAMA0), unless it is a file. */
  readonly serial?: number | undefined;
  /** hvc0: the path of its pipes, without `.in` and `.out`, unless it is a file. */
  readonly hypervisor?: string | undefined;
  /** The agent's virtio-serial port; on the serial transport only. */
  readonly agent?: number | undefined;
  /** An open /dev/vhost-vsock that has reserved `cid`; on vsock only. */
  readonly vsock?: { readonly fd: number; readonly cid: number } | undefined;
  /** Where QEMU asks for the bytes of a seeded virtio-rng; with `rngSeed` only. */
  readonly entropy?: number | undefined;
  /** The bell and the gates of a mailbox (mailbox.ts). */
  readonly mailbox?: readonly [number, number, number] | undefined;
  /** The wires of the interfaces, in their order. */
  readonly nics?: readonly number[] | undefined;
  /** Where the disks are served, in their order. */
  readonly disks?: readonly number[] | undefined;
  /** The connection to virtiofsd. */
  readonly tree?: number | undefined;
  /** Brings the saved devices of the snapshot that the machine goes on from. */
  readonly devices?: number | undefined;
}

/** Files of a machine whose runs repeat: what it prints, and the memory through which it talks with us. */
export interface Files {
  readonly serial0: string;
  readonly hvc0: string;
  readonly mailbox: string;
}

/** Device ids of QEMU; also what QMP events name. */
export const AGENT_DEVICE = "agent";

const MEBIBYTE = 1024 * 1024;

const SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny";

/** A value inside one of QEMU's comma-separated options. */
const escaped = (value: string): string => value.replaceAll(",", ",,");

/** What the monitor takes as an object, as an option: older QEMUs take no JSON for devices and networks. */
const keyed = (properties: JsonObject): string =>
  Object.entries(properties)
    .map(
      ([key, value]) =>
        `${key}=${typeof value === "boolean" ? (value ? "on" : "off") : escaped(String(value))}`,
    )
    .join(",");

/** `-rtc base=` in UTC, whole seconds. */
const clockBase = ({ initialTime, deterministic }: LaunchSpec): string => {
  const base =
    initialTime === undefined
      ? "base=utc"
      : `base=${new Date(Math.floor(initialTime) * 1000).toISOString().slice(0, 19)}`;
  return deterministic ? `${base},clock=vm` : base;
};

/**
 * Time counted in instructions, four nanoseconds each: with fewer the kernel's busy waits take longer, with more its
 * ticks do. Without `sleep` an idle guest goes straight to its next timer, and the host's clock has no part in it.
 */
const counted = ({ rngSeed }: LaunchSpec, file: string, ports: readonly number[] | undefined): string[] => [
  ...["-icount", "shift=2,sleep=off"],
  ...["-seed", String(BigInt.asUintN(63, rngSeed ?? 0n))],
  ...["-object", `memory-backend-file,id=mailbox,share=on,size=${MAILBOX_BYTES},mem-path=${escaped(file)}`],
  // The address is in agent/guest/mailbox.c.
  ...["-device", "ivshmem-plain,bus=pcie.0,addr=0x6,memdev=mailbox"],
  ...(ports ?? []).flatMap((fd, i) => [
    ...socket(`mailbox${i}`, fd),
    ...["-device", `isa-debugcon,iobase=${MAILBOX_PORT + i},chardev=mailbox${i}`],
  ]),
];

/** A guest's identity as its firmware tells it: the same in every run, another for each VM. */
const machineId = (name: string): string => {
  const hex = createHash("sha256").update(`machine ${name}`).digest("hex");
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `8${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join("-");
};

/** What QEMU gives a guest that is to have `bytes` of RAM: whole MiB. */
export const ramBytes = (bytes: number): number => Math.ceil(bytes / MEBIBYTE) * MEBIBYTE;

/**
 * Guest RAM: pages of its own, those of a snapshot until the guest writes to them, or pages that virtiofsd shares,
 * which reads and writes what the guest asks for.
 */
const memory = ({ memoryBytes, rootTree }: LaunchSpec, file: string | undefined): string[] => {
  const size = `${ramBytes(memoryBytes) / MEBIBYTE}M`;
  const common = `id=ram,size=${size}`;
  const backend = (): string => {
    if (file !== undefined) return `memory-backend-file,${common},mem-path=${escaped(file)},share=off`;
    return rootTree?.protocol === "virtiofs"
      ? `memory-backend-memfd,${common},share=on`
      : `memory-backend-ram,${common}`;
  };
  return ["-m", size, "-object", backend()];
};

/**
 * A machine that goes on from a snapshot waits (`-S`) while it reads its devices from a descriptor. The stream has
 * neither a section about its configuration nor a description of itself: see save.ts.
 */
const incoming = (fd: number | undefined): string[] =>
  fd === undefined ? [] : ["-S", "-global", "migration.send-configuration=off", "-incoming", `fd:${fd}`];

const diskArguments = (link: DiskLink, plug: Plug, descriptor: number | undefined): string[] => [
  ...["-blockdev", JSON.stringify(wire(link, FIRST_WIRE, String(descriptor)))],
  ...["-blockdev", JSON.stringify(format(link, FIRST_WIRE))],
  ...["-device", keyed(disk(link, plug))],
];

/** A console that is written to a file: the pace of a reader must not be felt. */
const file = (id: string, path: string): string[] => ["-chardev", `file,id=${id},path=${escaped(path)}`];

/**
 * The named pipes PATH.in and PATH.out. A serial port waits for a reader that is behind; a virtio console does not, and
 * QEMU drops what does not fit (hw/char/virtio-console.c). A pipe has room for more of it than a socket.
 */
const pipes = (id: string, path: string): string[] => ["-chardev", `pipe,id=${id},path=${escaped(path)}`];

const socket = (id: string, fd: number): string[] => ["-chardev", `socket,id=${id},fd=${fd}`];

const agentChannel = (descriptors: Descriptors): string[] => {
  const args: string[] = [];
  if (descriptors.agent !== undefined)
    args.push(
      ...socket("agent", descriptors.agent),
      "-device",
      `virtserialport,bus=serial.0,nr=1,chardev=agent,id=${AGENT_DEVICE},name=${SERIAL_PORT_NAME}`,
    );
  if (descriptors.vsock !== undefined)
    args.push(
      "-device",
      `vhost-vsock-pci,bus=pcie.0,addr=0x4,vhostfd=${descriptors.vsock.fd},guest-cid=${descriptors.vsock.cid}`,
    );
  return args;
};

const entropy = (fd: number | undefined, wanted: boolean): string[] =>
  fd === undefined && !wanted
    ? []
    : [
        ...(fd === undefined
          ? ["-object", "rng-builtin,id=entropy"]
          : [...socket("entropy", fd), "-object", "rng-egd,id=entropy,chardev=entropy"]),
        "-device",
        "virtio-rng-pci,bus=pcie.0,addr=0x3,disable-legacy=on,rng=entropy",
      ];

/** Everything after the program's name. The profile's own arguments come last, so that they can override. */
export const qemuArguments = (
  spec: LaunchSpec,
  descriptors: Descriptors,
  capabilities: Capabilities,
  /** RAM of the snapshot that the machine goes on from. */
  ramFile?: string,
  files?: Files,
): string[] => {
  const board = BOARDS[spec.architecture];
  const plug = plugOf(board, capabilities);
  return [
    ...["-name", `guest=${escaped(spec.name)}`],
    ...["-nodefaults", "-no-user-config", "-display", "none"],
    ...(capabilities.sandbox ? ["-sandbox", SANDBOX] : []),
    ...[
      "-machine",
      `${machineOption(board, spec, capabilities)},memory-backend=ram${ramFile === undefined ? "" : ",suppress-vmdesc=on"}`,
    ],
    ...["-accel", spec.accel, "-cpu", board.cpu(spec), "-smp", String(spec.cpus)],
    ...memory(spec, ramFile),
    ...incoming(descriptors.devices),
    ...["-rtc", clockBase(spec)],
    ...["-uuid", machineId(spec.name)],
    ...(files === undefined ? [] : counted(spec, files.mailbox, descriptors.mailbox)),
    // A guest that restarts by itself ends QEMU, and one that panics stops: both are told by QMP first.
    // One that takes no such orders goes on after a restart, and machine.ts ends it.
    ...(capabilities.actions ? ["-action", "reboot=shutdown,shutdown=poweroff,panic=pause"] : []),
    ...socket("monitor", descriptors.monitor),
    ...["-qmp", "chardev:monitor"],
    ...(files === undefined
      ? socket("serial0", descriptors.serial as number)
      : file("serial0", files.serial0)),
    ...board.serial("serial0"),
    // Left to itself the device has 31 ports, and the guest's driver sets up queues for each before the first works.
    // Without ioeventfd a kick is served where it happens instead of in another thread: bulk data into the guest goes
    // 1.7 times as fast, a call takes four fifths of the time (tests/bench/channel).
    ...[
      "-device",
      "virtio-serial-pci,id=serial,bus=pcie.0,addr=0x2,disable-legacy=on,max_ports=2,ioeventfd=off",
    ],
    ...(files === undefined ? pipes("hvc0", descriptors.hypervisor as string) : file("hvc0", files.hvc0)),
    ...["-device", "virtconsole,bus=serial.0,nr=0,chardev=hvc0"],
    ...agentChannel(descriptors),
    ...entropy(descriptors.entropy, spec.hardwareRng === true && !spec.deterministic),
    ...board.panic,
    ...plug.devices,
    ...spec.disks.flatMap((link, index) => diskArguments(link, plug, descriptors.disks?.[index])),
    ...(spec.rootDisk === undefined ? [] : rootDiskArguments(spec.rootDisk, imageFormat(spec.rootDisk.path))),
    ...(spec.rootTree === undefined ? [] : rootTreeArguments(spec.rootTree, descriptors.tree)),
    ...(spec.nics ?? []).flatMap((one, index) => [
      ...["-netdev", keyed(netdev(one.id, one.wire.kind, String(descriptors.nics?.[index])))],
      ...["-device", keyed(nic(one, plug))],
    ]),
    ...(spec.kernel === undefined ? [] : ["-kernel", spec.kernel, "-append", spec.cmdline]),
    ...(spec.initrd === undefined ? [] : ["-initrd", spec.initrd]),
    ...spec.qemuArgs,
  ];
};

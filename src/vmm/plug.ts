/** The places of a machine for whatever is plugged in or out, numbered from 1 to 31. */

/** What turns ACPI hot-plug behind bridges on and off, on a PC of Intel's later chipset. */
export const ACPI_PLUG = { device: "ICH9-LPC", property: "acpi-pci-hotplug-with-bridge-support" } as const;

export interface Plug {
  /** QEMU's arguments for the places. */
  readonly devices: readonly string[];
  /** Where the device of a place goes. */
  readonly place: (slot: number) => { readonly bus: string; readonly addr: string };
  /** How long a guest may take to let go of a device, in milliseconds. */
  readonly letGoMs: number;
  /** How long a guest that goes down may take, from the end of its agent to that of the machine, in milliseconds. */
  readonly goingDownMs: number;
}

const SLOTS = 31;
const PORTS_IN_A_SLOT = 8;

/**
 * One bridge for all of them, because each PCIe root port lengthens the boot of an emulated guest by 25 ms, and a
 * device behind the bridge is usable as soon after its hot-plug (about 30 ms) as one behind a port. It is ACPI that
 * tells the guest. A guest lets go within tens of milliseconds, seconds when it is busy and emulated.
 */
export const BRIDGE: Plug = {
  devices: [
    // It is on wherever a QEMU has it; one that does not have it must say so.
    ...["-global", `${ACPI_PLUG.device}.${ACPI_PLUG.property}=on`],
    ...["-device", "pcie-pci-bridge,id=plug,bus=pcie.0,addr=0x5"],
  ],
  place: (slot) => ({ bus: "plug", addr: slot.toString(16) }),
  letGoMs: 10_000,
  // Tens of milliseconds, and the host may stand still meanwhile.
  goingDownMs: 1000,
};

const port = (slot: number): string => `plug${slot}`;

/**
 * A PCIe root port for each: where there is no ACPI to tell the guest, because a port tells it by itself (Linux: pciehp).
 * Eight share a slot of the root bus. No device of ours has I/O ports, and windows for them would not all fit.
 * A guest that is asked to let go waits five seconds for a second thought.
 */
export const ROOT_PORTS: Plug = {
  devices: Array.from({ length: SLOTS }, (_, index) => {
    const addr = `0x${(8 + Math.floor(index / PORTS_IN_A_SLOT)).toString(16)}.${index % PORTS_IN_A_SLOT}`;
    return [
      "-device",
      `pcie-root-port,id=${port(index + 1)},bus=pcie.0,addr=${addr},multifunction=on,chassis=${index + 1},io-reserve=0`,
    ];
  }).flat(),
  place: (slot) => ({ bus: port(slot), addr: "0" }),
  letGoMs: 30_000,
  // It takes leave of every port, which lasts seconds where a busy host emulates it.
  goingDownMs: 10_000,
};

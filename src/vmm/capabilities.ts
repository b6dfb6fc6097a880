/**
 * What a QEMU can do, in its own words: never told by its version, which distributions patch and companies count anew.
 *
 * Nobody asks before a boot. A machine is started as a QEMU takes it that can do everything; one that cannot refuses at
 * once, because whatever may be missing is named on its command line. Then it is asked (introspection.ts), and started
 * as it can be.
 */

import { HostError } from "../errors/errors.ts";
import type { LaunchSpec } from "../lab/ports.ts";

export interface Capabilities {
  /** Filters of system calls are compiled in. */
  readonly sandbox: boolean;
  /** It can be told what follows a restart, a power-off and a panic: `-action` and `set-action`. */
  readonly actions: boolean;
  /** A disk's node can get another child: `blockdev-reopen`. */
  readonly reopen: boolean;
  /** ACPI tells the guest of devices that come and go behind a bridge, on a board that has ACPI. */
  readonly acpiPlug: boolean;
  /** Options of the board that it does not have. */
  readonly unknownOptions: readonly string[];
}

export const EVERYTHING: Capabilities = {
  sandbox: true,
  actions: true,
  reopen: true,
  acpiPlug: true,
  unknownOptions: [],
};

/** Throws HostError for a machine that would be another than the one asked for. */
export const refuseWhatCannotBe = (
  { rngSeed }: Pick<LaunchSpec, "rngSeed">,
  { unknownOptions }: Capabilities,
): void => {
  if (rngSeed !== undefined && unknownOptions.includes("dtb-randomness"))
    throw new HostError("rng_seed cannot be kept: this QEMU gives the guest random bytes of its own", {
      hint: "take a QEMU whose board `virt` has the option dtb-randomness, or leave rng_seed and deterministic away",
    });
};

/** What a test loses with it, in words for people; what only costs time last. Empty for a QEMU that can do everything. */
export const limits = ({ sandbox, reopen, acpiPlug, unknownOptions }: Capabilities): string[] => [
  ...(sandbox ? [] : ["no sandbox around it (seccomp)"]),
  ...(reopen ? [] : ["no resizing of disks while their machine runs (blockdev-reopen)"]),
  ...(unknownOptions.includes("dtb-randomness") ? ["no rng_seed (dtb-randomness)"] : []),
  ...(acpiPlug ? [] : ["slower boots (31 PCIe ports, without ACPI hot-plug behind a bridge)"]),
];

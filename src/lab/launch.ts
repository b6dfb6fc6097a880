/** What a machine is launched with: one that boots, and one that goes on from a snapshot. */

import type { Transport } from "../channel/channel.ts";
import type { Profile } from "../config/schema.ts";
import { type Architecture, accelerationOf } from "../sys/architecture.ts";
import type { VmHost } from "./host.ts";
import { checkManifest } from "./manifest.ts";
import type { BootOptions } from "./options.ts";
import { cpusOf, kernelCmdline, memoryOf, needsHardwareRng, wholeCmdline } from "./plan.ts";
import type { BootArtefacts, DiskLink, LaunchSpec, NicSpec } from "./ports.ts";
import type { Snapshot } from "./snapshot.ts";

/** Whether guests run without hardware acceleration. */
export const isEmulated = (
  host: VmHost,
  architecture: Architecture,
  { deterministic }: BootOptions,
): boolean =>
  host.vmm.kind === "qemu" && (accelerationOf(architecture, host.accel) === "tcg" || deterministic === true);

const transportOf = ({ vmm, transport }: VmHost): Exclude<Transport, "mailbox"> =>
  vmm.kind === "local" && transport === "serial" ? "local" : transport;

/** A machine that boots. */
export const bootSpec = (
  name: string,
  profile: Profile,
  options: BootOptions,
  host: VmHost,
  artefacts: BootArtefacts | undefined,
  nics: readonly NicSpec[],
  disks: readonly DiskLink[],
): LaunchSpec => ({
  name,
  architecture: profile.architecture,
  memoryBytes: memoryOf(profile, options),
  cpus: cpusOf(profile, options),
  kernel: artefacts?.kernel,
  initrd: artefacts?.initrd,
  cmdline: wholeCmdline(
    kernelCmdline(
      profile,
      options,
      artefacts?.cmdline ?? "",
      isEmulated(host, profile.architecture, options),
    ),
  ),
  nics,
  disks,
  rootDisk: profile.disk,
  rootTree:
    profile.root === undefined || artefacts?.tree === undefined
      ? undefined
      : { path: profile.root.path, protocol: artefacts.tree },
  rngSeed: options.rngSeed,
  hardwareRng: needsHardwareRng(profile),
  initialTime: options.initialTime,
  deterministic: options.deterministic,
  qemuArgs: profile.qemuArgs,
  accel: options.deterministic ? "tcg" : accelerationOf(profile.architecture, host.accel),
  transport: transportOf(host),
  directory: host.directory(name),
});

/** Throws where this VM cannot go on from the snapshot: the first difference by name. */
export const checkRestore = (
  name: string,
  options: BootOptions,
  host: VmHost,
  { directory, manifest }: Snapshot,
): void =>
  checkManifest(
    manifest,
    {
      vm: name,
      memoryBytes: options.memoryBytes,
      cpus: options.cpus,
      accel: accelerationOf(manifest.launch.architecture, host.accel),
      transport: transportOf(host),
    },
    directory,
  );

/** A machine that goes on from a snapshot. Throws as `checkRestore` does. */
export const restoreSpec = (
  name: string,
  options: BootOptions,
  host: VmHost,
  snapshot: Snapshot,
  nics: readonly NicSpec[],
  disks: readonly DiskLink[],
): LaunchSpec => {
  checkRestore(name, options, host, snapshot);
  const { directory, manifest } = snapshot;
  const { launch, image } = manifest;
  // A restart of the guest loads them again; without them it can do all but that.
  const there = (path: string | undefined): string | undefined =>
    path !== undefined && host.snapshots.exists(path) ? path : undefined;
  return {
    ...launch,
    name,
    kernel: there(launch.kernel),
    initrd: there(launch.initrd),
    nics,
    disks,
    directory: host.directory(name),
    saved: { directory, image },
  };
};

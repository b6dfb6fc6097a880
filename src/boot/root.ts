/** Guests whose root is not the initramfs: a disk image with a distribution inside, or a tree of this host. Pure but for a look at the files. */

import { lstatSync, statSync } from "node:fs";
import { join } from "node:path";
import { type Profile, ROOT_DISK_SERIAL } from "../config/schema.ts";
import { ApiError, ConfigError, HostError } from "../errors/errors.ts";
import type { InjectedFile, TreeProtocol } from "../lab/ports.ts";

export type RootProfile = Pick<Profile, "name" | "initrd" | "init" | "injectAgent" | "disk" | "root">;

/** Every distribution has it there, systemd or not. */
const DISTRIBUTION_INIT = "/sbin/init";
/** The wrapper stays PID 1: the services of a tree that is in use elsewhere are none of the guest's. */
const NO_INIT = "none";

/** The wrapper makes the disk the root; with an initrd of its own the guest does that itself. */
const ownsDisk = (profile: RootProfile): boolean =>
  profile.disk !== undefined && profile.initrd === undefined;

/** What becomes PID 1 where nobody has said. */
export const rootInit = (profile: RootProfile): string | undefined => {
  if (ownsDisk(profile)) return DISTRIBUTION_INIT;
  return profile.root === undefined ? undefined : NO_INIT;
};

/** Words for the wrapper. */
export const rootWords = (profile: RootProfile, protocol: TreeProtocol | undefined): readonly string[] => [
  ...(ownsDisk(profile) ? [`provium.root=${ROOT_DISK_SERIAL}`] : []),
  ...(protocol === undefined ? [] : [`provium.tree=${protocol}`]),
];

/** Also a link, wherever it leads: in the guest it leads elsewhere. */
const isIn = (root: string, path: string): boolean =>
  lstatSync(join(root, path), { throwIfNoEntry: false }) !== undefined;

/** Throws ConfigError where the root is not there, and ApiError for files that it would hide. */
export const checkRoot = (profile: RootProfile, files: readonly InjectedFile[]): void => {
  const { name, init, disk, root } = profile;
  if (disk === undefined && root === undefined) return;
  if (disk !== undefined && statSync(disk.path, { throwIfNoEntry: false })?.isFile() !== true)
    throw new ConfigError(`profile \`${name}\`: there is no disk image \`${disk.path}\``);
  if (root !== undefined && statSync(root.path, { throwIfNoEntry: false })?.isDirectory() !== true)
    throw new ConfigError(`profile \`${name}\`: root \`${root.path}\` is no directory`);
  if (root !== undefined && init !== undefined && init !== NO_INIT && !isIn(root.path, init))
    throw new ConfigError(`profile \`${name}\`: there is no init \`${init}\` in root \`${root.path}\``);
  const what = disk === undefined ? "a root" : "a disk";
  if (!profile.injectAgent && profile.initrd === undefined)
    throw new ConfigError(
      `profile \`${name}\`: inject_agent = false with ${what} ${disk === undefined ? "cannot work" : "needs an initrd"}`,
      { hint: "Without an initrd it is the wrapper, shipped with the agent, that mounts it." },
    );
  if (files.length > 0)
    throw new ApiError(
      `boot: files are placed in the initramfs, which ${what} of the profile takes the place of`,
      {
        hint: "Push them when the machine is up: vm:push_file, vm:write_file.",
      },
    );
};

/** Whether a kernel has a module, built in or to be loaded; undefined where its modules are nowhere to be found. */
export type Knows = (module: string) => boolean | undefined;

/**
 * By which protocol the kernel is to mount the tree: virtiofs where virtiofsd is installed, else 9p, which QEMU
 * itself speaks. Throws HostError where the kernel is known to have neither, or no overlayfs.
 */
export const treeProtocol = (name: string, knows: Knows, virtiofsd: boolean): TreeProtocol => {
  if (knows("overlay") === false)
    throw new HostError(
      `profile \`${name}\`: its kernel has no overlayfs (CONFIG_OVERLAY_FS), which a root needs`,
    );
  const virtiofs = knows("virtiofs") !== false;
  const plan9 = knows("9p") !== false && knows("9pnet_virtio") !== false;
  if (virtiofs && virtiofsd) return "virtiofs";
  if (plan9) return "9p";
  if (virtiofs)
    throw new HostError(`profile \`${name}\`: its root needs virtiofsd, which is not installed`, {
      hint: `install it (${VIRTIOFSD_PACKAGES}) or set PROVIUM_VIRTIOFSD to its path; its kernel has no 9p, which would do without`,
    });
  throw new HostError(
    `profile \`${name}\`: its kernel has neither virtiofs (CONFIG_VIRTIO_FS) nor 9p (CONFIG_9P_FS, CONFIG_NET_9P_VIRTIO)`,
  );
};

const VIRTIOFSD_PACKAGES =
  "Debian 12: apt install qemu-system-common; later ones, Fedora: the package virtiofsd";

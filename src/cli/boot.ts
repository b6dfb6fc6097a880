/** Kernel and initramfs for the machines of a run: the boot service, and the guest that the executable carries. */

import { join } from "node:path";
import { guestAsset, guestPrograms } from "../assets/guests.ts";
import {
  DEFAULT_GUEST_INIT,
  defaultGuestCmdline,
  type InstalledGuest,
  installDefaultGuest,
} from "../boot/default-guest.ts";
import { standsFlagsFault } from "../boot/flags-fault.ts";
import { BootService, type GuestPrograms } from "../boot/service.ts";
import { DEFAULT_CMDLINE } from "../config/profiles.ts";
import type { Profile } from "../config/schema.ts";
import type { Surroundings } from "../dispatch/dispatcher.ts";
import { ConfigError } from "../errors/errors.ts";
import { type Architecture, accelerationOf } from "../sys/architecture.ts";
import { hasFlagsFault } from "../vmm/flags-fault.ts";
import { findVirtiofsd } from "../vmm/virtiofsd.ts";

type Profiles = Readonly<Record<string, Profile>>;

/** The profiles as runners see them: an embedded guest whose command line nobody has set gets the measured one. */
export const guestProfiles = (profiles: Profiles): Profiles =>
  Object.fromEntries(
    Object.entries(profiles).map(([name, profile]) => [
      name,
      profile.origin === "embedded" && profile.cmdline === DEFAULT_CMDLINE
        ? { ...profile, cmdline: defaultGuestCmdline(profile.architecture) }
        : profile,
    ]),
  );

/** The embedded guest unpacked into the cache; undefined in an executable that was built without one. */
const installGuest = (architecture: Architecture, cacheDir: string): InstalledGuest | undefined => {
  const vmlinux = guestAsset("guest/vmlinux.zst", architecture);
  const initrd = guestAsset("guest/initrd.cpio.zst", architecture);
  const modules = guestAsset("guest/modules.cpio.zst", architecture);
  const manifest = guestAsset("guest/manifest", architecture);
  if (vmlinux === undefined || initrd === undefined || modules === undefined || manifest === undefined)
    return undefined;
  return installDefaultGuest(
    { vmlinux, initrd, modules, manifest: new TextDecoder().decode(manifest) },
    cacheDir,
  );
};

const hasOwnRoot = ({ disk, root }: Profile): boolean => disk !== undefined || root !== undefined;

/** What the profile leaves open, filled in from the embedded guest. */
const embodied = (profile: Profile, guest: InstalledGuest): Profile => ({
  ...profile,
  kernel: guest.kernel,
  initrd: profile.initrd ?? (hasOwnRoot(profile) ? undefined : guest.initrd),
  init:
    profile.init ?? (profile.initrd === undefined && !hasOwnRoot(profile) ? DEFAULT_GUEST_INIT : undefined),
  modules: profile.modules === "auto" ? guest.modules : profile.modules,
});

/** What a boot needs to know of the run. */
type Ahead = Parameters<Surroundings["boot"]>[1];

export interface BootHost {
  readonly assets: { readonly helper: string };
  /** Where kernels and initramfs files are kept from run to run. */
  readonly cacheDir: string;
}

/** What `make` gave for the key the first time. */
const remembered = <K, V>(memory: Map<K, V>, key: K, make: (key: K) => V): V => {
  if (!memory.has(key)) memory.set(key, make(key));
  return memory.get(key) as V;
};

/**
 * Answers boot requests of runners. Work that is the same for several boots is done once; `ahead` does it for the
 * profile `default` while the first runner starts, so that its first boot need not wait.
 */
export const bootService = ({ assets, cacheDir }: BootHost, ahead?: Ahead): Surroundings["boot"] => {
  const programs = new Map<Architecture, GuestPrograms>();
  const guests = new Map<Architecture, InstalledGuest | undefined>();
  const service = new BootService({
    cacheDir: join(cacheDir, "boot"),
    helper: assets.helper,
    flagsFault: ({ origin, architecture }) => {
      const embedded = origin === "embedded" ? guests.get(architecture) : undefined;
      if (embedded !== undefined && standsFlagsFault(embedded.release)) return false;
      return hasFlagsFault({ cacheDir, env: process.env, helper: assets.helper });
    },
    virtiofsd: () => findVirtiofsd(process.env) !== undefined,
    programs: (architecture) => remembered(programs, architecture, guestPrograms),
  });
  const answer: Surroundings["boot"] = (request, job) => {
    const profile = job.profiles[request.profile];
    if (profile === undefined)
      throw new ConfigError(
        `unknown profile \`${request.profile}\` (known: ${Object.keys(job.profiles).sort().join(", ")})`,
      );
    const guest =
      profile.origin === "embedded"
        ? remembered(guests, profile.architecture, (architecture) => installGuest(architecture, cacheDir))
        : undefined;
    const whole = guest === undefined ? profile : embodied(profile, guest);
    const accel = accelerationOf(profile.architecture, job.accel);
    return service.plan(whole, { ...job, accel, disks: request.disks }, request.files);
  };
  if (ahead !== undefined)
    setImmediate(async () => {
      try {
        await answer({ profile: "default", files: [], disks: false }, ahead);
      } catch {
        // Nobody has asked yet: whoever boots this profile gets the error.
      }
    });
  return answer;
};

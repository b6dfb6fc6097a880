/** The guest that the executable embeds: unpacked into the cache on first use. */

import { statSync } from "node:fs";
import { join } from "node:path";
import { zstdDecompressSync } from "node:zlib";
import { HostError } from "../errors/errors.ts";
import type { Architecture } from "../sys/architecture.ts";
import { readArchive } from "./archive.ts";
import { install, sha256 } from "./cache.ts";

/** What `embed/guest/build.sh` makes. */
export interface EmbeddedGuest {
  /** zstd. */
  readonly vmlinux: Uint8Array;
  /** zstd, newc. */
  readonly initrd: Uint8Array;
  /** zstd, newc: lib/modules/<release>/… */
  readonly modules: Uint8Array;
  readonly manifest: string;
}

export interface InstalledGuest {
  /** Uncompressed: a vmlinux with a PVH entry, or an arm64 Image. */
  readonly kernel: string;
  readonly initrd: string;
  /** Module directory of that kernel. */
  readonly modules: string;
  readonly release: string;
}

/**
 * Kernel parameters of the default guest on x86-64, without consoles and init. All of them shorten the boot (measured, see
 * tests/bench/boot) and none removes something a test could look for: cryptomgr.notests and the two initcalls are
 * self-tests and a cosmetic scan of ftrace's symbols; noreplace-smp leaves lock prefixes in place on one CPU;
 * no_timer_check is what Linux sets for itself under KVM; reboot=t because the machine has no keyboard controller.
 * The last one names the guest's modprobe (see embed/guest/root/usr/sbin/modprobe).
 */
export const DEFAULT_GUEST_CMDLINE = [
  "quiet",
  "panic=-1",
  "reboot=t",
  "cryptomgr.notests",
  "noreplace-smp",
  "no_timer_check",
  "initcall_blacklist=ftrace_check_for_weak_functions,crypto_kdf108_init",
  "sysctl.kernel.modprobe=/usr/sbin/modprobe",
].join(" ");

/** Those of the default guest for an architecture. */
export const defaultGuestCmdline = (architecture: Architecture): string =>
  architecture === "x86_64" ? DEFAULT_GUEST_CMDLINE : GENERIC_GUEST_CMDLINE;

export const DEFAULT_GUEST_INIT = "/init";

/** What of it is not about a PC. */
const GENERIC_GUEST_CMDLINE = DEFAULT_GUEST_CMDLINE.split(" ")
  .filter((word) => !["reboot=t", "noreplace-smp", "no_timer_check"].includes(word))
  .join(" ");

/** The kernel release in a guest's manifest. */
export const manifestRelease = (manifest: string): string => {
  const release = /^release ([A-Za-z0-9][A-Za-z0-9.+_~-]*)$/m.exec(manifest)?.[1];
  if (release === undefined) throw new HostError("the embedded guest's manifest names no kernel release");
  return release;
};

const unpacked = (data: Uint8Array, what: string): Uint8Array => {
  try {
    return zstdDecompressSync(data);
  } catch (cause) {
    throw new HostError(`the embedded guest is damaged: ${what}`, { cause });
  }
};

/**
 * Unpacks the guest below `cacheDir` unless it is there, and says where. The folder is named after the contents
 * of all parts; the file `complete` is written last and marks it whole.
 */
export const installDefaultGuest = (guest: EmbeddedGuest, cacheDir: string): InstalledGuest => {
  const release = manifestRelease(guest.manifest);
  // The manifest holds the hashes of the other parts.
  const folder = join(cacheDir, "guest", sha256(guest.manifest).slice(0, 16));
  const installed: InstalledGuest = {
    kernel: join(folder, "vmlinux"),
    initrd: join(folder, "initrd.cpio"),
    modules: join(folder, "lib/modules", release),
    release,
  };
  const mark = join(folder, "complete");
  if (statSync(mark, { throwIfNoEntry: false }) !== undefined) return installed;
  install(installed.kernel, unpacked(guest.vmlinux, "kernel"));
  install(installed.initrd, unpacked(guest.initrd, "initramfs"));
  for (const entry of readArchive(unpacked(guest.modules, "modules")).entries) {
    if (entry.kind !== "file") continue;
    if (entry.name.split("/").includes(".."))
      throw new HostError("the embedded guest is damaged: module names");
    install(join(folder, entry.name), entry.data);
  }
  install(mark, "");
  return installed;
};

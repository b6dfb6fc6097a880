/**
 * The shape of `provium.toml` after loading: defaults filled in, paths absolute, units resolved.
 */

import type { Architecture } from "../sys/architecture.ts";

/** The serial number of the disk that a profile boots from. No id of a test's disk looks like it. */
export const ROOT_DISK_SERIAL = "@root";

/** An image with a distribution inside. */
export interface RootDisk {
  readonly path: string;
  /** What a guest writes goes into the image; otherwise it is forgotten with the machine. */
  readonly writable: boolean;
}

/** A tree of this host as a guest's root: it is only read, and what the guest writes stays in its memory. */
export interface RootTree {
  readonly path: string;
  /** No kernel is named: one inside the tree serves, if there is one (`root-kernel.ts`). */
  readonly kernelInside: boolean;
}

/** A kind of guest: which kernel and user land, and how it is started. */
export interface Profile {
  readonly name: string;
  /** Declared under `[profile.NAME]` (classic) or `[profiles.NAME]` (lab), or the one that the executable embeds. */
  readonly origin: "classic" | "lab" | "embedded";
  /** Of the guest: which QEMU, which board, which agent. */
  readonly architecture: Architecture;
  /** bzImage or vmlinux; Image on aarch64. Absent only for the embedded guest. */
  readonly kernel?: string | undefined;
  /** Absent: the shim alone is the initramfs and the wrapper stays PID 1. */
  readonly initrd?: string | undefined;
  readonly cmdline: string;
  /** A disk image that holds the root file system. */
  readonly disk?: RootDisk | undefined;
  readonly root?: RootTree | undefined;
  /** Program that becomes PID 1 (`provium.init=`); "none": the wrapper stays it. */
  readonly init?: string | undefined;
  /** "auto": what the machine needs from the kernel's module tree; "none"; or a directory with modules.dep. */
  readonly modules: string;
  readonly injectAgent: boolean;
  readonly agentOverlayPath?: string | undefined;
  readonly mountPseudoFs: boolean;
  readonly guestOs: string;
  readonly memoryBytes: number;
  readonly cpus: number;
  readonly qemuArgs: readonly string[];
  /** Its words are to be the command line; absent once they are (`cmdline-file.ts`). */
  readonly cmdlineFile?: string | undefined;
  /** What makes its files, before the first machine boots from them. */
  readonly build?: ProfileBuild | undefined;
}

export interface ProfileBuild {
  /** A shell command. */
  readonly command: string;
  /** Where it runs: the directory of the file that declares the profile. */
  readonly directory: string;
  /** Where it leaves what it makes: `{out}` in the profile, `PROVIUM_OUT` in its environment. */
  readonly out: string;
}

export interface Config {
  /** The file it came from; undefined when there is none. */
  readonly file: string | undefined;
  /** Directory of that file, else the working directory. */
  readonly project: string;
  readonly roots: readonly string[];
  readonly cacheDir: string;
  readonly cacheMaxSize: number;
  /** Fixtures are stored compressed. */
  readonly cacheCompress: boolean;
  readonly profiles: Readonly<Record<string, Profile>>;
  readonly accel?: "auto" | "kvm" | "tcg" | undefined;
  readonly transport?: "auto" | "vsock" | "serial" | undefined;
  readonly network?: "auto" | "kernel" | "user" | undefined;
  /** The user that QEMU runs as. */
  readonly runAs?: string | undefined;
  readonly jobs?: number | undefined;
  /** How often a file that failed is run again. */
  readonly retries?: number | undefined;
  /** Percent of the time that tasks may wait for a CPU, or for memory, before fewer files run. */
  readonly cpuPressure?: number | undefined;
  readonly memoryPressure?: number | undefined;
  /** Per file, milliseconds; 0 for none. */
  readonly timeoutMs?: number | undefined;
  /** `NAME` or `NAME=FILE` each, as --reporter takes them. */
  readonly reporters?: readonly string[] | undefined;
  /** Things worth saying that are no errors: unknown keys with a suggestion, … */
  readonly warnings: readonly string[];
}

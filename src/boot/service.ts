/**
 * From a profile to what QEMU is given: kernel, one merged initramfs, words for the kernel's command line. The
 * dispatcher keeps one service per run; everything made is cached by content.
 */

import { statSync } from "node:fs";
import { join } from "node:path";
import type { Profile } from "../config/schema.ts";
import { ApiError, ConfigError, HostError } from "../errors/errors.ts";
import type { BootArtefacts, InjectedFile, TreeProtocol } from "../lab/ports.ts";
import { type Architecture, HOST_ARCHITECTURE } from "../sys/architecture.ts";
import { buildArchive, concatenateArchives } from "./archive.ts";
import { readArm64Image } from "./arm64-image.ts";
import { cached, prune, readNamed, sha256 } from "./cache.ts";
import { MissingDecompressor } from "./decompress.ts";
import { flagsFaultWords } from "./flags-fault.ts";
import { readInitrd } from "./initrd.ts";
import { extractVmlinux, inspectKernel } from "./kernel.ts";
import {
  findModuleTree,
  givenModuleTree,
  modulesOf,
  readModules,
  type ShippedModule,
} from "./module-tree.ts";
import { wantedModules } from "./modules.ts";
import { checkRoot, rootInit, rootWords, treeProtocol } from "./root.ts";
import { type GuestFile, guestName, shimEntries, WRAPPER_PATH } from "./shim.ts";
import { measureTsc, tscWords } from "./tsc.ts";

/** What booting needs to know of a profile. */
export type BootProfile = Pick<
  Profile,
  | "name"
  | "origin"
  | "architecture"
  | "kernel"
  | "initrd"
  | "cmdline"
  | "cmdlineFile"
  | "init"
  | "modules"
  | "injectAgent"
  | "agentOverlayPath"
  | "disk"
  | "root"
  | "mountPseudoFs"
>;

export interface GuestPrograms {
  readonly agent: Uint8Array;
  readonly wrapper: Uint8Array;
}

export interface BootServiceOptions {
  /** Where kernels and merged initramfs files are kept from run to run. */
  readonly cacheDir: string;
  /** The static guest programs for an architecture. Throws HostError for one that this build has none for. */
  readonly programs: (architecture: Architecture) => GuestPrograms;
  /** Host path of the helper, which measures the clock that emulated guests get. */
  readonly helper: string;
  /** Whether the emulator for PCs has the fault of flags-fault.ts, and the kernel of this profile suffers from it. */
  readonly flagsFault: (profile: BootProfile) => boolean;
  /** Whether virtiofsd is installed. */
  readonly virtiofsd: () => boolean;
}

export interface BootMachine {
  readonly transport: "vsock" | "serial";
  readonly accel: "kvm" | "tcg";
  /** It starts with disks. */
  readonly disks: boolean;
}

/** Part of every key: to be counted up when equal inputs are to give another file than before. */
const MERGE_RULES = "2";

/** Bounds of the cache of merged initramfs files. */
const KEPT_FILES = 64;
const KEPT_BYTES = 2 * 2 ** 30;

interface PreparedKernel {
  readonly path: string;
  readonly release: string | undefined;
}

const withoutGuest = (architecture: Architecture): string =>
  architecture === HOST_ARCHITECTURE
    ? "This executable was built without a guest (GUEST=none): declare a profile with a kernel in provium.toml."
    : `This executable was built without a guest for ${architecture}: build it with \`make build GUEST_ARM64=1\`, or declare a profile with a kernel in provium.toml.`;

/** Where the modules of its kernel are; undefined where there are none to be shipped. */
const moduleTree = (profile: BootProfile, { release }: PreparedKernel): string | undefined => {
  if (profile.modules === "none") return undefined;
  return profile.modules === "auto"
    ? findModuleTree(profile.kernel as string, release)
    : givenModuleTree(profile.modules, release);
};

/** The words that hand the boot to the wrapper. Throws ConfigError when a profile that is not classic names an rdinit of its own. */
export const handoff = (profile: BootProfile, tree?: TreeProtocol): string => {
  if (!profile.injectAgent) return "";
  const words = profile.cmdline.split(/\s+/);
  const own = words.findLast((word) => word.startsWith("rdinit="))?.slice("rdinit=".length);
  if (own !== undefined && profile.origin !== "classic" && own !== WRAPPER_PATH)
    throw new ConfigError(
      `profile \`${profile.name}\`: cmdline has rdinit=${own}, which is the harness's to set`,
      {
        hint: `Name your init with \`init = "${own}"\`.`,
      },
    );
  const init = profile.init ?? own ?? rootInit(profile);
  const given = words.some((word) => word.startsWith("provium.init="));
  return [
    `rdinit=${WRAPPER_PATH}`,
    ...(init === undefined || given ? [] : [`provium.init=${init}`]),
    ...rootWords(profile, tree),
    ...(profile.mountPseudoFs ? [] : ["provium.mount=0"]),
  ].join(" ");
};

const readInjected = (file: InjectedFile): GuestFile => {
  guestName(file.path);
  if (file.content !== undefined) return { path: file.path, data: file.content, mode: file.mode ?? 0o644 };
  if (file.host === undefined)
    throw new ApiError(`files: \`${file.path}\` has neither content nor a host path`);
  const data = readNamed(`files: host file for \`${file.path}\`,`, file.host);
  return { path: file.path, data, mode: file.mode ?? statSync(file.host).mode & 0o7777 };
};

export class BootService {
  private readonly kernels = new Map<string, Promise<PreparedKernel>>();
  private readonly modules = new Map<string, Promise<readonly ShippedModule[]>>();
  private tsc: Promise<number | undefined> | undefined;

  constructor(private readonly options: BootServiceOptions) {}

  /**
   * Prepares a boot. Throws ConfigError, HostError or ApiError naming the file and what is wrong with it.
   */
  async plan(
    profile: BootProfile,
    machine: BootMachine,
    files: readonly InjectedFile[] = [],
  ): Promise<BootArtefacts> {
    if (profile.kernel === undefined)
      throw new ConfigError(`profile \`${profile.name}\` has no kernel`, {
        hint:
          profile.origin === "embedded"
            ? withoutGuest(profile.architecture)
            : "Name a bzImage or vmlinux (aarch64: an Image) in the profile's `kernel`.",
      });
    if (profile.cmdlineFile !== undefined)
      throw new ConfigError(
        `profile \`${profile.name}\`: its cmdline_file ${profile.cmdlineFile} was not there when the run began`,
      );
    checkRoot(profile, files);
    const emulated = machine.accel === "tcg" && profile.architecture === "x86_64";
    const rate = emulated ? await this.tscRate() : undefined;
    const fault = emulated && this.options.flagsFault(profile);
    const kernel = await this.kernel(profile.kernel, profile);
    const tree = profile.root && this.tree(profile, kernel);
    const words = [
      handoff(profile, tree),
      tscWords(rate, profile.cmdline),
      fault ? flagsFaultWords(profile.cmdline) : "",
    ];
    const cmdline = words.filter((word) => word !== "").join(" ");
    const base = profile.initrd === undefined ? undefined : readNamed("initrd", profile.initrd);
    const injected = files.map(readInjected);
    const programs = profile.injectAgent ? this.options.programs(profile.architecture) : undefined;
    const modules = profile.injectAgent ? await this.shipped(profile, kernel, machine, tree) : [];
    if (base !== undefined && programs === undefined && injected.length === 0)
      return { kernel: kernel.path, initrd: profile.initrd as string, cmdline };
    const overlay =
      profile.agentOverlayPath === undefined || !profile.injectAgent
        ? undefined
        : readNamed("agent_overlay_path", profile.agentOverlayPath);
    const key = sha256(
      MERGE_RULES,
      base ?? "",
      overlay ?? "",
      ...(programs === undefined ? [] : [programs.agent, programs.wrapper]),
      ...modules.flatMap((module) => [module.file, module.data]),
      ...injected.flatMap((file) => [file.path, String(file.mode), file.data]),
    );
    const directory = join(this.options.cacheDir, "initrd");
    let made = false;
    const initrd = await cached(directory, `${key}.cpio`, async () => {
      made = true;
      const user = base === undefined ? undefined : await readInitrd(base, profile.initrd as string);
      const known = user?.known ?? (() => false);
      const shim = buildArchive(shimEntries({ programs, modules, files: injected }, known));
      return concatenateArchives([user?.base, shim, overlay].filter((part) => part !== undefined));
    });
    if (made) prune(directory, KEPT_FILES, KEPT_BYTES);
    return { kernel: kernel.path, initrd, cmdline, tree };
  }

  private tscRate(): Promise<number | undefined> {
    this.tsc ??= measureTsc(this.options.helper);
    return this.tsc;
  }

  private tree(profile: BootProfile, kernel: PreparedKernel): TreeProtocol {
    const tree = moduleTree(profile, kernel);
    const knows = tree === undefined ? () => undefined : modulesOf(tree);
    return treeProtocol(profile.name, knows, this.options.virtiofsd());
  }

  private shipped(
    profile: BootProfile,
    kernel: PreparedKernel,
    { transport, disks }: BootMachine,
    root: TreeProtocol | undefined,
  ): Promise<readonly ShippedModule[]> {
    const tree = moduleTree(profile, kernel);
    if (tree === undefined) return Promise.resolve([]);
    const wanted = wantedModules({
      architecture: profile.architecture,
      transport,
      disks: disks || profile.disk !== undefined,
      root,
      guestLoads: profile.origin === "embedded" && profile.disk === undefined && root === undefined,
    });
    return remember(this.modules, `${tree} ${wanted.join()}`, () => readModules(tree, wanted));
  }

  /** The image that QEMU gets. That of the embedded guest needs no look inside. */
  private kernel(path: string, { origin, architecture }: BootProfile): Promise<PreparedKernel> {
    if (origin === "embedded") return Promise.resolve({ path, release: undefined });
    const info = statSync(path, { throwIfNoEntry: false, bigint: true });
    const version = `${path} ${info?.ino} ${info?.size} ${info?.mtimeNs}`;
    return remember(this.kernels, `${architecture} ${version}`, () =>
      architecture === "aarch64" ? this.prepareArm64(path) : this.prepareKernel(path),
    );
  }

  private async prepareArm64(path: string): Promise<PreparedKernel> {
    const data = readNamed("kernel", path);
    const { image, plain, release } = await readArm64Image(data, path);
    if (plain) return { path, release };
    const directory = join(this.options.cacheDir, "kernel");
    return { path: await cached(directory, sha256(data), () => image), release };
  }

  private async prepareKernel(path: string): Promise<PreparedKernel> {
    const data = readNamed("kernel", path);
    const image = inspectKernel(data, path);
    if (image.kind === "vmlinux") return { path, release: image.release };
    const directory = join(this.options.cacheDir, "kernel");
    try {
      // An empty file remembers that this image has to boot as it is.
      const vmlinux = await cached(
        directory,
        sha256(data),
        async () => (await extractVmlinux(image, path)) ?? "",
      );
      return { path: statSync(vmlinux).size === 0 ? path : vmlinux, release: image.release };
    } catch (error) {
      // The guest can unpack what this host cannot; it only takes a little longer.
      if (error instanceof MissingDecompressor) return { path, release: image.release };
      throw error instanceof HostError
        ? error
        : new HostError(`kernel \`${path}\` cannot be prepared`, { cause: error });
    }
  }
}

/** The work behind `key`, done once; a failure is not remembered. */
const remember = <T>(memory: Map<string, Promise<T>>, key: string, work: () => Promise<T>): Promise<T> => {
  const known = memory.get(key);
  if (known !== undefined) return known;
  const started = work();
  memory.set(key, started);
  started.catch(() => memory.delete(key));
  return started;
};

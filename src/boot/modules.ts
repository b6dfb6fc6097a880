/** Kernel modules: which ones a machine needs, and in which order they load. Pure. */

import type { TreeProtocol } from "../lab/ports.ts";
import type { Architecture } from "../sys/architecture.ts";

/** One line of modules.dep. Paths are relative to the module directory. */
export interface ModuleFile {
  readonly path: string;
  /** Paths of everything that must be loaded before. */
  readonly needs: readonly string[];
}

export interface ModuleIndex {
  readonly files: ReadonlyMap<string, ModuleFile>;
  /** Names of what is compiled into the kernel. */
  readonly builtin: ReadonlySet<string>;
}

/** The name by which the kernel knows the module of a file: `kernel/fs/9p/nls_utf8.ko.xz` is `nls_utf8`. */
export const moduleName = (path: string): string =>
  path
    .slice(path.lastIndexOf("/") + 1)
    .replace(/\.ko(\.(gz|xz|zst))?$/, "")
    .replaceAll("-", "_");

const lines = (text: string): string[] => text.split("\n").filter((line) => line.trim() !== "");

/** Reads modules.dep and modules.builtin (which may be missing). */
export const moduleIndex = (dep: string, builtin = ""): ModuleIndex => ({
  files: new Map(
    lines(dep).flatMap((line) => {
      const colon = line.indexOf(":");
      if (colon < 0) return [];
      const path = line.slice(0, colon).trim();
      const needs = line
        .slice(colon + 1)
        .split(/\s+/)
        .filter((word) => word !== "");
      return [[moduleName(path), { path, needs }] as const];
    }),
  ),
  builtin: new Set(lines(builtin).map(moduleName)),
});

export interface LoadOrder {
  /** Paths relative to the module directory, each after what it needs. */
  readonly paths: readonly string[];
  /** Wanted names that are neither a module nor built in. */
  readonly missing: readonly string[];
}

/** Everything to be loaded so that `wanted` (module names) work, dependencies first, nothing twice. */
export const loadOrder = (index: ModuleIndex, wanted: readonly string[]): LoadOrder => {
  const paths: string[] = [];
  const missing: string[] = [];
  const seen = new Set<string>();
  const visit = (name: string): boolean => {
    if (seen.has(name) || index.builtin.has(name)) return true;
    const file = index.files.get(name);
    if (file === undefined) return false;
    seen.add(name);
    for (const need of file.needs) visit(moduleName(need));
    paths.push(file.path);
    return true;
  };
  for (const word of wanted) {
    const name = word.replaceAll("-", "_");
    if (!visit(name)) missing.push(name);
  }
  return { paths, missing };
};

export interface Needs {
  readonly architecture: Architecture;
  readonly transport: "vsock" | "serial";
  /** There are disks at boot, whose users need not wait for the guest to find the driver. */
  readonly disks: boolean;
  /** How the tree of the host is mounted that the guest has for a root. */
  readonly root?: TreeProtocol | undefined;
  /** The guest loads the rest by itself, so only what must work before its init runs is shipped. */
  readonly guestLoads: boolean;
}

/** What tells of a panic, and the power button. */
const OLD_DEVICES: Readonly<Record<Architecture, readonly string[]>> = {
  x86_64: ["pvpanic_mmio", "pvpanic", "button"],
  aarch64: ["pvpanic_pci", "gpio_keys"],
};

const TREE_MODULES: Readonly<Record<TreeProtocol, readonly string[]>> = {
  virtiofs: ["virtiofs"],
  "9p": ["9pnet_virtio", "9p"],
};

/**
 * Modules for the devices that every machine has. The order counts where modules.dep is silent: virtio_ring
 * before virtio. virtio_console serves hvc0 and the serial channel. pvpanic alone is what kernels before 5.13 have.
 */
export const wantedModules = (needs: Needs): readonly string[] => [
  ...["virtio_ring", "virtio", "virtio_pci", "virtio_console"],
  ...(needs.transport === "vsock" ? ["vmw_vsock_virtio_transport"] : []),
  ...(needs.root === undefined ? [] : [...TREE_MODULES[needs.root], "overlay"]),
  ...(needs.disks || !needs.guestLoads ? ["virtio_blk"] : []),
  ...(needs.guestLoads ? [] : ["virtio_net", "virtio_rng", ...OLD_DEVICES[needs.architecture]]),
];

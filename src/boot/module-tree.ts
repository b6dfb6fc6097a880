/** Module directories on the host: finding the one of a kernel, and reading what a machine needs from it. */

import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { ConfigError, HostError } from "../errors/errors.ts";
import { decompress } from "./decompress.ts";
import { loadOrder, type ModuleIndex, moduleIndex, moduleName } from "./modules.ts";

const isTree = (directory: string): boolean => existsSync(join(directory, "modules.dep"));

/**
 * The module directory of a kernel: beside the image, in the root file system that holds it, or this host's own.
 * Undefined: there is none, as for most kernels that somebody has built for tests.
 */
export const findModuleTree = (kernelPath: string, release: string | undefined): string | undefined => {
  const beside = dirname(kernelPath);
  const roots = [beside, dirname(beside), "/"];
  const places =
    release === undefined
      ? []
      : roots.flatMap((root) => ["lib", "usr/lib"].map((lib) => join(root, lib, "modules", release)));
  // Some distributions keep the kernel in its module directory.
  return [beside, ...places].find(isTree);
};

/** The module directory that a profile names: the directory itself, or a root file system around it. */
export const givenModuleTree = (directory: string, release: string | undefined): string => {
  if (!existsSync(directory))
    throw new ConfigError(`modules: the directory \`${directory}\` does not exist`, {
      hint: 'Allowed are "auto", "none" and a directory with modules.dep.',
    });
  const inside =
    release === undefined ? [] : [join(directory, "lib/modules", release), join(directory, release)];
  const tree = [directory, ...inside].find(isTree);
  if (tree === undefined)
    throw new ConfigError(
      `modules: \`${directory}\` has no modules.dep${release ? ` for kernel ${release}` : ""}`,
      {
        hint: `Make it with \`depmod -b ROOT ${release ?? "RELEASE"}\`.`,
      },
    );
  return tree;
};

export interface ShippedModule {
  /** File name in the guest, `virtio_pci.ko`. */
  readonly file: string;
  readonly data: Uint8Array;
}

const textIn = (tree: string, name: string): string => {
  try {
    return readFileSync(join(tree, name), "utf8");
  } catch {
    return "";
  }
};

const indexOf = (tree: string): ModuleIndex =>
  moduleIndex(textIn(tree, "modules.dep"), textIn(tree, "modules.builtin"));

/** Whether the kernel of a module directory has a module, built in or to be loaded, by the name that it has in the kernel. */
export const modulesOf = (tree: string): ((name: string) => boolean) => {
  const { files, builtin } = indexOf(tree);
  return (name) => builtin.has(name) || files.has(name);
};

/** The modules that make `wanted` work, unpacked, in loading order. Names that the kernel does not have are left out. */
export const readModules = async (tree: string, wanted: readonly string[]): Promise<ShippedModule[]> => {
  const { paths } = loadOrder(indexOf(tree), wanted);
  const modules: ShippedModule[] = [];
  for (const path of paths) {
    const full = join(tree, path);
    let packed: Uint8Array;
    try {
      packed = readFileSync(full);
    } catch (cause) {
      throw new HostError(`modules: ${full} cannot be read, though modules.dep lists it`, {
        cause,
        hint: "Bring modules.dep up to date with `depmod`.",
      });
    }
    modules.push({ file: `${moduleName(path)}.ko`, data: await decompress(packed, `module ${full}`) });
  }
  return modules;
};

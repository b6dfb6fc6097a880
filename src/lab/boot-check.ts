/** What boot options ask for that this run or this host cannot give, said before anything is started. */

import { ApiError } from "../errors/errors.ts";
import type { Architecture } from "../sys/architecture.ts";
import type { BootOptions } from "./options.ts";
import type { Vmm } from "./ports.ts";

export interface BootHost {
  readonly vmm: Vmm;
  /** Throws ApiError unless the host file can be read. */
  checkHostFile(path: string, what: string): void;
}

/** What the profile has a say in. */
export interface Wanted {
  readonly cpus: number;
  readonly architecture: Architecture;
  /** The root is a tree of this host. */
  readonly hostTree: boolean;
}

/** Throws ApiError naming the options. */
export const checkBoot = (
  options: BootOptions,
  { cpus, architecture, hostTree }: Wanted,
  host: BootHost,
): void => {
  const needMachine = [
    ...(options.files?.length ? ["files"] : []),
    ...(options.disks?.length ? ["disks"] : []),
    ...(options.initialTime === undefined ? [] : ["initial_time"]),
    ...(options.deterministic ? ["deterministic"] : []),
  ];
  if (host.vmm.kind === "local" && needMachine.length > 0)
    throw new ApiError(`boot: ${needMachine.join(" and ")} need a machine, and --vmm local boots none`, {
      hint: "Run this file with --vmm qemu.",
    });
  if (options.deterministic && architecture !== "x86_64")
    throw new ApiError(`boot: a deterministic machine is x86_64, and the profile's is ${architecture}`);
  if (options.deterministic && hostTree)
    throw new ApiError(
      "boot: a deterministic machine has nothing of its host, and the profile's root is a tree of it",
    );
  if (options.deterministic && cpus !== 1)
    throw new ApiError(`boot: a deterministic machine has one CPU, and ${cpus} are asked for`, {
      hint: "Several take their turns as the host's clock says. Give cpus = 1.",
    });
  for (const file of options.files ?? [])
    if (file.host !== undefined) host.checkHostFile(file.host, `boot: host file for \`${file.path}\``);
  for (const disk of options.disks ?? [])
    if (disk.path !== undefined) host.checkHostFile(disk.path, `boot: image of disk \`${disk.id}\``);
};

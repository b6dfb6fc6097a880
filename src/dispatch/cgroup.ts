/**
 * The memory that the kernel grants this process and its children: cgroups(7). A limit of any group above counts too;
 * a batch system or a service has it somewhere in between.
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";

const ROOT = "/sys/fs/cgroup";

/** The group itself and those above it. */
const upwards = (path: string): string[] => {
  const parts = path.split("/").filter((part) => part !== "");
  return [...parts.keys(), parts.length].map((length) => parts.slice(0, length).join("/"));
};

/** The files with limits, for what /proc/self/cgroup says. */
export const limitFiles = (groups: string): string[] =>
  groups.split("\n").flatMap((line) => {
    const [, controllers = "", ...path] = line.split(":");
    const above = upwards(path.join(":"));
    if (line.startsWith("0::")) return above.map((group) => join(ROOT, group, "memory.max"));
    if (!controllers.split(",").includes("memory")) return [];
    return above.map((group) => join(ROOT, "memory", group, "memory.limit_in_bytes"));
  });

const limitIn = (file: string): number => {
  try {
    const value = Number(readFileSync(file, "utf8").trim());
    return value > 0 ? value : Number.POSITIVE_INFINITY;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
};

/** Bytes; infinite without a limit. */
export const memoryLimit = (): number => {
  let groups = "";
  try {
    groups = readFileSync("/proc/self/cgroup", "utf8");
  } catch {
    // No /proc, no groups that we could know of.
  }
  return limitFiles(groups)
    .map(limitIn)
    .reduce((least, limit) => Math.min(least, limit), Number.POSITIVE_INFINITY);
};

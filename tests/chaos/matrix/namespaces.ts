/**
 * Namespaces of a run: which there were besides the driver's own, and which of them are still there. A namespace lives as long
 * as a process is in it, a descriptor is open to it or a mount keeps it: namespaces(7).
 */

import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { descendants } from "./kernel.ts";

const KINDS = ["net", "mnt", "user", "pid", "ipc", "uts"] as const;

/** "net:[4026531840]", the name of a namespace; undefined: the process is gone. */
const link = (path: string): string | undefined => {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
};

const entries = (directory: string): string[] => {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
};

export class Namespaces {
  private readonly own = new Set(KINDS.map((kind) => link(`/proc/self/ns/${kind}`)));
  private readonly seen = new Set<string>();

  /** Remembers those that the processes below `pid` are in. */
  note(pid: number): void {
    for (const one of [pid, ...descendants(pid).map((it) => it.pid)])
      for (const kind of KINDS) {
        const name = link(`/proc/${one}/ns/${kind}`);
        if (name !== undefined && !this.own.has(name)) this.seen.add(name);
      }
  }

  /** Those of the remembered that still exist, with what keeps them. */
  left(): string[] {
    if (this.seen.size === 0) return [];
    // "0:4 net:[4026532281] /run/netns/x": the root of an nsfs mount is the namespace's name, proc_pid_mountinfo(5).
    const mounts = readFileSync("/proc/self/mountinfo", "latin1");
    const mounted = [...this.seen].filter((name) => mounts.includes(` ${name} `));
    const held = entries("/proc").flatMap((entry) => {
      if (!/^\d+$/.test(entry) || entry === String(process.pid)) return [];
      const paths = [
        ...KINDS.map((kind) => `/proc/${entry}/ns/${kind}`),
        ...entries(`/proc/${entry}/fd`).map((fd) => `/proc/${entry}/fd/${fd}`),
      ];
      const name = paths.map(link).find((it) => it !== undefined && this.seen.has(it));
      return name === undefined ? [] : [`namespace ${name} by process ${entry}`];
    });
    return [...mounted.map((name) => `namespace ${name} by a mount`), ...held];
  }
}

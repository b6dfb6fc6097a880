/**
 * Namespaces of a run: which there were besides the driver's own, and which of them are still there. A namespace lives as long
 * as a process is in it, a descriptor is open to it or a mount keeps it: namespaces(7).
 */

import { closeSync, openSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
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
  /** By name, with a descriptor that keeps the name from being given to another one. */
  private readonly seen = new Map<string, number>();

  /** Remembers those that the processes below `pid` are in. */
  note(pid: number): void {
    for (const one of [pid, ...descendants(pid).map((it) => it.pid)])
      for (const kind of KINDS) this.keep(`/proc/${one}/ns/${kind}`);
  }

  private keep(path: string): void {
    const name = link(path);
    if (name === undefined || this.own.has(name) || this.seen.has(name)) return;
    try {
      this.seen.set(name, openSync(path, "r"));
    } catch {
      // Its process is gone.
    }
  }

  /** Those of the remembered that still exist, with what keeps them. */
  left(): string[] {
    if (this.seen.size === 0) return [];
    // "0:4 net:[4026532281] /run/netns/x": the root of an nsfs mount is the namespace's name, proc_pid_mountinfo(5).
    const mounts = readFileSync("/proc/self/mountinfo", "latin1");
    const mounted = [...this.seen.keys()].filter((name) => mounts.includes(` ${name} `));
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

  /** Forgets them all. */
  close(): void {
    for (const fd of this.seen.values()) closeSync(fd);
    this.seen.clear();
  }
}

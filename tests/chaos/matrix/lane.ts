/**
 * A place in which cells run one after another: a directory with a cache that later runs find warm. What a cell leaves behind
 * is what was not there before it.
 */

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CLOCK_SLOTS } from "./faults.ts";

export class Lane {
  readonly directory = mkdtempSync(join(tmpdir(), "provium-matrix-"));
  readonly temp = join(this.directory, "tmp");
  readonly cache = join(this.directory, "cache");
  readonly project = join(this.directory, "project");
  readonly clock = join(this.directory, "clock");

  constructor() {
    for (const path of [this.temp, this.cache]) mkdirSync(path);
  }

  /** An empty project and clocks that are right. */
  begin(files: Readonly<Record<string, string>>): void {
    rmSync(this.project, { recursive: true, force: true });
    mkdirSync(this.project);
    for (const [name, text] of Object.entries(files)) writeFileSync(join(this.project, name), text);
    writeFileSync(this.clock, new Uint8Array(CLOCK_SLOTS * 8));
  }

  environment(preload: string | undefined): Record<string, string> {
    const env: Record<string, string> = {};
    for (const [name, value] of Object.entries(process.env))
      if (value !== undefined && !/^(CI|FORCE_COLOR|PROVIUM_.*)$/.test(name)) env[name] = value;
    return {
      ...env,
      NO_COLOR: "1",
      PROVIUM_TMPDIR: this.temp,
      XDG_CACHE_HOME: this.cache,
      XDG_STATE_HOME: join(this.directory, "state"),
      CHAOS_LANE: this.directory,
      ...(preload === undefined ? {} : { LD_PRELOAD: preload, CHAOS_CLOCK: this.clock }),
    };
  }

  /** Processes of this lane's runs that still exist. */
  processes(): string[] {
    return readdirSync("/proc").flatMap((entry) => {
      if (!/^\d+$/.test(entry)) return [];
      try {
        if (!readFileSync(`/proc/${entry}/environ`, "latin1").includes(`CHAOS_LANE=${this.directory}`))
          return [];
        const command = readFileSync(`/proc/${entry}/cmdline`, "latin1").replaceAll("\0", " ").trim();
        return command === "" ? [] : [`process ${entry}: ${command.slice(0, 80)}`];
      } catch {
        return [];
      }
    });
  }

  /** Sockets of the file system that lie in this lane. */
  private sockets(): string[] {
    return readFileSync("/proc/net/unix", "latin1")
      .split("\n")
      .flatMap((line) => (line.includes(this.directory) ? [`socket ${line.split(" ").at(-1)}`] : []));
  }

  /** Run directories, drafts in the cache, sockets, shared memory: everything but processes that a run must not leave. */
  files(): string[] {
    const walk = (directory: string): string[] =>
      readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
        const path = join(directory, entry.name);
        return entry.isDirectory() ? walk(path) : [path];
      });
    const drafts = walk(this.cache).filter((path) => /\.new$|\.tmp$|\.partial$|\/tmp\./.test(path));
    const shared = readdirSync("/dev/shm").filter((name) => name.includes("provium"));
    return [
      ...readdirSync(this.temp).map((name) => `temporary ${name}`),
      ...drafts.map((path) => `draft ${path}`),
      ...this.sockets(),
      ...shared.map((name) => `shared memory ${name}`),
    ];
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

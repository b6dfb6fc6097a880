/**
 * A place in which cells run one after another: a directory with a cache that later runs find warm. What a cell leaves behind
 * is what was not there before it.
 */

import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CLOCK_SLOTS } from "./faults.ts";
import { Namespaces } from "./namespaces.ts";

/** On the way into a cache, or out of it. */
const DRAFT = /\/\.(new|old)-[^/]*$|\.new$|\.build$/;

/** What of /proc may be gone while we look is empty. */
const attempt = <T>(look: () => T, otherwise: T): T => {
  try {
    return look();
  } catch {
    return otherwise;
  }
};
const textOf = (path: string): string => attempt(() => readFileSync(path, "latin1"), "");
const linkOf = (path: string): string => attempt(() => readlinkSync(path), "");
const namesIn = (directory: string): string[] => attempt(() => readdirSync(directory), []);

/** Every file and directory below. */
const walk = (directory: string): string[] =>
  namesIn(directory)
    .map((name) => join(directory, name))
    .flatMap((path) => [path, ...walk(path)]);

/** Segments of shm_open(3) that are called after us. */
const sharedMemory = (): string[] => namesIn("/dev/shm").filter((name) => name.includes("provium"));

export class Lane {
  readonly directory = mkdtempSync(join(tmpdir(), "provium-matrix-"));
  readonly temp = join(this.directory, "tmp");
  readonly cache = join(this.directory, "cache");
  readonly project = join(this.directory, "project");
  /** What programs take for temporary files that know nothing of PROVIUM_TMPDIR. */
  private readonly elsewhere = join(this.directory, "elsewhere");
  readonly clock = join(this.directory, "clock");
  readonly namespaces = new Namespaces();
  private sharedBefore: ReadonlySet<string> = new Set();

  constructor() {
    mkdirSync(this.cache);
  }

  /** An empty project, clocks that are right, and neither a fixture in the cache nor what an earlier cell has left. */
  begin(files: Readonly<Record<string, string>>): void {
    for (const path of [this.project, this.temp, this.elsewhere]) {
      rmSync(path, { recursive: true, force: true });
      mkdirSync(path);
    }
    for (const [name, text] of Object.entries(files)) writeFileSync(join(this.project, name), text);
    rmSync(join(this.cache, "provium/fixtures"), { recursive: true, force: true });
    this.namespaces.close();
    this.sharedBefore = new Set(sharedMemory());
    writeFileSync(this.clock, new Uint8Array(CLOCK_SLOTS * 8));
  }

  environment(preload: string | undefined): Record<string, string> {
    const env: Record<string, string> = {};
    for (const [name, value] of Object.entries(process.env))
      if (value !== undefined && !/^(CI|FORCE_COLOR|PROVIUM_.*)$/.test(name)) env[name] = value;
    return {
      ...env,
      NO_COLOR: "1",
      TMPDIR: this.elsewhere,
      PROVIUM_TMPDIR: this.temp,
      XDG_CACHE_HOME: this.cache,
      XDG_STATE_HOME: join(this.directory, "state"),
      CHAOS_LANE: this.directory,
      ...(preload === undefined ? {} : { LD_PRELOAD: preload, CHAOS_CLOCK: this.clock }),
    };
  }

  /** What still lives of a run of this lane: processes, and namespaces that something keeps. */
  alive(): string[] {
    return [...this.processes(), ...this.namespaces.left()];
  }

  /** Processes that carry the lane in their environment, or use a file of it: those that cleared their environment. */
  private processes(): string[] {
    return readdirSync("/proc").flatMap((entry) => {
      if (!/^\d+$/.test(entry) || Number(entry) === process.pid || !this.isUsedBy(entry)) return [];
      const command = textOf(`/proc/${entry}/cmdline`).replaceAll("\0", " ").trim();
      // An empty one is a zombie's: its parent has yet to hear of it.
      return command === "" ? [] : [`process ${entry}: ${command.slice(0, 80)}`];
    });
  }

  private isUsedBy(entry: string): boolean {
    return (
      textOf(`/proc/${entry}/environ`).includes(`CHAOS_LANE=${this.directory}`) ||
      ["cwd", "exe"].some((name) => linkOf(`/proc/${entry}/${name}`).startsWith(this.directory)) ||
      namesIn(`/proc/${entry}/fd`).some((fd) => linkOf(`/proc/${entry}/fd/${fd}`).startsWith(this.directory))
    );
  }

  /** Sockets of the file system that lie in this lane. */
  private sockets(): string[] {
    return readFileSync("/proc/net/unix", "latin1")
      .split("\n")
      .flatMap((line) => (line.includes(this.directory) ? [`socket ${line.split(" ").at(-1)}`] : []));
  }

  /** What else a run must not leave: run directories, drafts in the cache, sockets, shared memory. */
  files(): string[] {
    const shared = sharedMemory().filter((name) => !this.sharedBefore.has(name));
    return [
      ...namesIn(this.temp).map((name) => `temporary ${name}`),
      ...namesIn(this.elsewhere).map((name) => `temporary ${name}, outside of PROVIUM_TMPDIR`),
      ...walk(this.cache)
        .filter((path) => DRAFT.test(path))
        .map((path) => `draft ${path}`),
      ...this.sockets(),
      ...shared.map((name) => `shared memory ${name}`),
    ];
  }

  [Symbol.dispose](): void {
    this.namespaces.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

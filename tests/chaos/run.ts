/**
 * Runs the executable as a user would, in a directory and a temp directory of its own, and looks afterwards
 * for what it left behind: processes that carry this run's mark in their environment or working files, and
 * anything in its temp directory.
 */

import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";

export const EXECUTABLE = resolve(import.meta.dir, "../../dist/provium");

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Both, for assertions that do not care where it was said. */
  readonly text: string;
}

/** A project directory that exists for one test. */
export class Project {
  readonly directory = mkdtempSync(join(tmpdir(), "provium-chaos-"));
  readonly temp = join(this.directory, "tmp");
  private readonly mark = `PROVIUM_CHAOS_MARK=${this.directory}`;

  constructor(files: Readonly<Record<string, string | Uint8Array>> = {}) {
    mkdirSync(this.temp);
    for (const [name, content] of Object.entries(files)) this.write(name, content);
  }

  write(name: string, content: string | Uint8Array): string {
    const path = join(this.directory, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
    return path;
  }

  /** Starts the executable, `under` another program where one is named; the caller waits for it or kills it. */
  start(args: readonly string[], env: Readonly<Record<string, string>> = {}, under: readonly string[] = []) {
    const [name, value] = this.mark.split("=") as [string, string];
    return Bun.spawn([...under, EXECUTABLE, ...args], {
      cwd: this.directory,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      env: { ...process.env, NO_COLOR: "1", PROVIUM_TMPDIR: this.temp, [name]: value, ...env },
    });
  }

  async run(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Outcome> {
    return outcome(this.start(args, env));
  }

  /** Processes that descend from this project's runs: pid and command line. */
  processes(): { pid: number; command: string }[] {
    const found: { pid: number; command: string }[] = [];
    for (const entry of readdirSync("/proc")) {
      if (!/^\d+$/.test(entry)) continue;
      try {
        if (!readFileSync(`/proc/${entry}/environ`, "latin1").includes(this.mark)) continue;
        const command = readFileSync(`/proc/${entry}/cmdline`, "latin1").replaceAll("\0", " ").trim();
        if (command !== "") found.push({ pid: Number(entry), command });
      } catch {
        // It ended while we looked.
      }
    }
    return found;
  }

  /** Waits until no process of this project's runs is left: the kernel ends them when what started them has ended. */
  async deserted(): Promise<void> {
    await eventually("the end of every process", () => this.processes().length === 0, 20_000);
  }

  /** Run directories in the temp directory: those that hold a lock (the cache of extracted files may stay). */
  runDirectories(): string[] {
    return readdirSync(this.temp).filter((name) => existsSync(join(this.temp, name, "lock")));
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export const outcome = async (
  child: Pick<ReturnType<Project["start"]>, "stdout" | "stderr" | "exited" | "exitCode">,
): Promise<Outcome> => {
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  await child.exited;
  return { code: child.exitCode, stdout, stderr, text: `${stdout}\n${stderr}` };
};

/** Polls until the condition holds; throws with `what` when it does not within `ms`. */
export const eventually = async (what: string, condition: () => boolean, ms: number): Promise<void> => {
  const end = performance.now() + ms;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`${what}: not within ${ms} ms`);
    await Bun.sleep(20);
  }
};

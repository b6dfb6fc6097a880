/**
 * The directory of one run: everything that the run leaves on disk lives below it, mode 0700, under the temporary
 * directory. A locked file in it says that the run is alive; the next run removes those of dead runs.
 */

import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  unlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { HostError, SysError } from "../errors/errors.ts";
import { FileLock } from "./lock.ts";

const LOCK = "lock";

/** A run that died between making its directory and locking it leaves one without lock; a live one does not take this long. */
const UNLOCKED_GRACE_MS = 60_000;

const userId = (): number => process.getuid?.() ?? 0;

/** Names begin with the user's id, so that users of one machine do not even look at each other's. */
const prefix = (): string => `provium-${userId()}-`;

/**
 * `XDG_RUNTIME_DIR`, where it is this user's, as the XDG Base Directory Specification has it. After `su` or `sudo -E` it may
 * be somebody else's.
 */
const runtimeDirectory = (named = ""): string | undefined => {
  try {
    const info = statSync(named);
    return info.isDirectory() && info.uid === userId() ? named : undefined;
  } catch {
    return undefined;
  }
};

/** Where run directories go: `PROVIUM_TMPDIR`, else `XDG_RUNTIME_DIR`, else the temporary directory. */
export const runBase = (environment: NodeJS.ProcessEnv): string =>
  resolve(environment.PROVIUM_TMPDIR || runtimeDirectory(environment.XDG_RUNTIME_DIR) || tmpdir());

/** True for a directory of ours whose run is over. */
const isDead = (path: string): boolean => {
  try {
    const info = lstatSync(path);
    if (!info.isDirectory() || info.uid !== userId()) return false;
    using lock = FileLock.attempt(join(path, LOCK), true);
    return lock !== undefined;
  } catch (error) {
    if (!(error instanceof SysError) || error.code !== "ENOENT") return false;
    const age = Date.now() - (lstatSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
    return age > UNLOCKED_GRACE_MS;
  }
};

/** Removes what dead runs of this user left below `base`; returns the paths removed. Never fails. */
export const sweepDeadRuns = (base: string): string[] => {
  const removed: string[] = [];
  let names: string[];
  try {
    names = readdirSync(base);
  } catch {
    return removed;
  }
  for (const name of names) {
    const path = join(base, name);
    if (!name.startsWith(prefix()) || !isDead(path)) continue;
    try {
      rmSync(path, { recursive: true, force: true });
      removed.push(path);
    } catch {
      // Somebody else may be sweeping too; what is left now is left to the next run.
    }
  }
  return removed;
};

/** Removes what it can, with one descriptor at a time. What is left is left to the next run. Never fails. */
const removeByPath = (path: string): void => {
  try {
    if (lstatSync(path).isDirectory()) {
      for (const name of readdirSync(path)) removeByPath(join(path, name));
      rmdirSync(path);
    } else unlinkSync(path);
  } catch {
    // It is gone, or in the way of what holds it.
  }
};

export class RunDirectory {
  private kept: string | undefined;

  private constructor(
    readonly path: string,
    private readonly lock: FileLock,
  ) {}

  /** Makes and locks a fresh directory below `base`. Throws `HostError` when that cannot be. */
  static open(base: string): RunDirectory {
    let path: string;
    try {
      mkdirSync(base, { recursive: true });
      path = mkdtempSync(join(base, prefix()));
    } catch (cause) {
      throw new HostError(`no directory for this run can be made in ${base}`, {
        cause,
        hint: "set PROVIUM_TMPDIR to a directory that you may write to",
      });
    }
    // Locked under another name first: whoever sweeps sees `lock` only once it is held.
    const lock = FileLock.attempt(join(path, `${LOCK}.new`)) as FileLock;
    renameSync(join(path, `${LOCK}.new`), join(path, LOCK));
    return new RunDirectory(path, lock);
  }

  /** A fresh directory below, mode 0700. */
  make(name: string): string {
    const path = join(this.path, name);
    mkdirSync(path, { mode: 0o700 });
    return path;
  }

  /** Takes the directory out of our hands, under a name that no later run sweeps; where it is now. */
  keep(): string {
    if (this.kept === undefined) {
      this.kept = join(dirname(this.path), `kept-${basename(this.path)}`);
      renameSync(this.path, this.kept);
    }
    return this.kept;
  }

  /** Removes the directory and everything below it, unless it is kept. Idempotent. */
  close(): void {
    if (this.kept !== undefined) {
      this.lock.close();
      return;
    }
    try {
      // A process of ours that is just ending may add a file while we remove.
      rmSync(this.path, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 });
    } catch {
      // rmSync has a directory open for each level; this process may be out of descriptors.
      removeByPath(this.path);
    }
    this.lock.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

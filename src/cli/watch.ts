/** `--watch`: a round whenever a test, a module or the configuration changes, until a signal ends it. */

import { type FSWatcher, type Stats, statSync, watch } from "node:fs";
import { dirname, relative, resolve } from "node:path";
import { HostError } from "../errors/errors.ts";
import { renderError } from "../errors/render.ts";
import { EXIT_UNABLE } from "./exit.ts";
import { type Given, named } from "./given.ts";
import type { RunOptions } from "./options.ts";
import type { Reporting } from "./reporting.ts";
import { runRound } from "./round.ts";
import { Interruption } from "./signals.ts";

/** Editors write a file in several steps; what comes within this time is one change. */
const SETTLE_MS = 200;

/** What tests and their helpers are made of. Other files change because tests write them. */
const COUNTS = /\.(lua|toml)$/;

/** Undefined also where nobody may look. */
const infoOf = (path: string): Stats | undefined => {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
};

/** Where changes of `place` show: itself, and of what is no directory, or not there yet, the nearest one above it. */
const watchable = (place: string): string => {
  for (let at = place; ; at = dirname(at)) if (infoOf(at)?.isDirectory() || at === dirname(at)) return at;
};

/** Collects changes below some directories. */
export class Changes {
  private readonly watchers: FSWatcher[] = [];
  /** What is watched, by names and inodes. */
  private followed = "";
  private changed = new Set<string>();
  private wake: (() => void) | undefined;
  /** Runs while what has changed is not left alone. */
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(places: readonly string[]) {
    this.follow(places);
  }

  /** Watches these places from now on; those that somebody has made anew, too. Throws `HostError`. */
  follow(places: readonly string[]): void {
    const distinct = [...new Set(places)];
    const followed = distinct.map((place) => `${place} ${infoOf(watchable(place))?.ino}`).join("\n");
    if (followed === this.followed) return;
    // The old ones first: two watchers of one path are one to Bun.
    for (const watcher of this.watchers.splice(0)) watcher.close();
    for (const place of distinct) this.watch(place);
    this.followed = followed;
  }

  private watch(place: string): void {
    const directory = watchable(place);
    const counts = (path: string): boolean =>
      COUNTS.test(path) || (directory !== place && `${place}/`.startsWith(`${path}/`));
    const noticed = (_: unknown, name: string | null): void => {
      const path = resolve(directory, name ?? "");
      if (name === null || !counts(path)) return;
      this.changed.add(path);
      clearTimeout(this.timer);
      this.timer = setTimeout(() => {
        this.timer = undefined;
        this.wake?.();
      }, SETTLE_MS);
    };
    try {
      const watcher = watch(directory, { recursive: directory === place }, noticed);
      // A directory that goes away is found missing by the next round.
      watcher.on("error", () => {});
      this.watchers.push(watcher);
    } catch (cause) {
      throw new HostError(`${directory} cannot be watched`, {
        cause,
        hint: "sysctl fs.inotify shows the limits",
      });
    }
  }

  /** Waits until something has changed and is left alone, or until `interrupted`; absolute paths, none when it was that. */
  async next(interrupted: Promise<void>): Promise<ReadonlySet<string>> {
    // What changed while nobody waited may still be changing: then the timer has not run out.
    if (this.changed.size === 0 || this.timer !== undefined) {
      const settled = new Promise<boolean>((resolve) => {
        this.wake = () => resolve(true);
      });
      const came = await Promise.race([interrupted.then(() => false), settled]);
      this.wake = undefined;
      if (!came) return new Set();
    }
    const { changed } = this;
    this.changed = new Set();
    return changed;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.timer);
    for (const watcher of this.watchers) watcher.close();
  }
}

/** The files that a change concerns: those that changed where nothing but tests did, else all. */
const concerned = (given: Given, changed: ReadonlySet<string>): Given => {
  const files = given.files.filter(({ file }) => changed.has(file));
  return files.length === changed.size ? { ...given, files } : given;
};

const placesOf = (options: RunOptions): string[] => {
  const { config, paths, directory } = options;
  const given = paths.length > 0 ? paths.map((path) => resolve(directory, path)) : config.roots;
  return [...(given.length > 0 ? given : [directory]), ...config.roots, config.file ?? []].flat();
};

/** The first of some files by the names that people give them. */
const listed = (directory: string, files: ReadonlySet<string>): string => {
  const names = [...files].map((file) => relative(directory, file));
  const more = names.length > 3 ? ` and ${names.length - 3} more` : "";
  return `${names.slice(0, 3).join(", ")}${more}`;
};

/** The exit status of the last round when a signal ends the waiting, that of the signal when it ends a round. */
export const watchRounds = async (
  reload: () => RunOptions,
  environment: NodeJS.ProcessEnv,
  reporting: Reporting,
): Promise<number> => {
  let options = reload();
  let changed: ReadonlySet<string> = new Set();
  let status = EXIT_UNABLE;
  using changes = new Changes(placesOf(options));
  for (;;) {
    try {
      // A configuration that has become wrong is said, and the next change may mend it.
      if (changed.size > 0) options = reload();
      changes.follow(placesOf(options));
      const supply = (): Given => (changed.size === 0 ? named(options) : concerned(named(options), changed));
      const round = await runRound(options, environment, supply, reporting);
      status = round.status;
      if (round.interrupted) return status;
    } catch (error) {
      reporting.complain(renderError(error));
      status = EXIT_UNABLE;
    }
    {
      using interruption = new Interruption();
      interruption.announce = () => {};
      reporting.complain("watching for changes; Ctrl-C ends");
      const ended = new Promise<void>((resolve) => interruption.listen(() => resolve()));
      changed = await changes.next(ended);
    }
    if (changed.size === 0) return status;
    reporting.complain(`${listed(options.directory, changed)} changed`);
  }
};

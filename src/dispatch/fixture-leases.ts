/**
 * What was handed out and is not restored yet: it stays in the cache meanwhile. Compressed entries are unpacked on
 * the way, and those of a cache that cannot be written are copied, once for the whole run.
 */

import { existsSync, rmSync } from "node:fs";
import { InterruptedError } from "../errors/errors.ts";
import type { EventStream } from "../events/stream.ts";
import { expandFiles } from "../fixture/compression.ts";
import type { Entry, Hold, Store } from "../fixture/store.ts";
import type { FixtureAnswer } from "../lab/ports.ts";

interface Lease {
  readonly asker: string;
  readonly entry: Entry;
  readonly title: string;
  readonly hold: Hold;
  /** It was in the cache already. */
  readonly hit: boolean;
}

export class Leases {
  private readonly leases = new Map<number, Lease>();
  /** Directories of copied entries, by build. */
  private readonly expanded = new Map<string, Promise<string>>();
  private readonly ending = new AbortController();
  private next = 1;

  constructor(
    private readonly store: Store,
    private readonly stream: EventStream,
    /** The path of a private directory below the run's. */
    private readonly directory: (name: string) => string,
  ) {}

  /** Undefined: the entry is going away. Throws when it is damaged, and `InterruptedError` at the end of the run. */
  async handOut(
    title: string,
    entry: Entry,
    asker: string,
    hit: boolean,
  ): Promise<FixtureAnswer | undefined> {
    const hold = this.store.hold(entry);
    if (hold === undefined) return undefined;
    let kept = false;
    try {
      if (!existsSync(entry.path)) return undefined;
      const { build, compressed } = entry.label;
      const asItIs = compressed.length === 0 && this.store.isWritable(entry);
      const directory = asItIs ? entry.path : await this.expand(entry);
      const lease = this.next++;
      this.leases.set(lease, { asker, entry, title, hold, hit });
      kept = true;
      return { directory, title, build, lease };
    } finally {
      if (!kept) hold.close();
    }
  }

  private expand(entry: Entry): Promise<string> {
    const { build, compressed } = entry.label;
    const known = this.expanded.get(build);
    if (known !== undefined) return known;
    const directory = this.directory(`fixture-${build}`);
    const work = expandFiles(entry.path, directory, compressed, this.ending.signal).then(() => directory);
    this.expanded.set(build, work);
    work.catch(() => {
      this.expanded.delete(build);
      rmSync(directory, { recursive: true, force: true });
    });
    return work;
  }

  /** Its machines run. */
  restored(lease: number): void {
    const held = this.leases.get(lease);
    if (held === undefined) return;
    this.release(lease);
    this.store.touch(held.entry);
    if (held.hit) this.stream.emit("fixture_cache_hit", { path: held.title });
  }

  /** Whoever asked for it does not need it any more. */
  release(lease: number): void {
    this.leases.get(lease)?.hold.close();
    this.leases.delete(lease);
  }

  /** The same for all that a file was handed out. */
  releaseOf(asker: string): void {
    for (const [id, lease] of this.leases) if (lease.asker === asker) this.release(id);
  }

  /** Nothing is handed out any more. When it returns nobody writes below the run's directory, which then goes. */
  async close(): Promise<void> {
    this.ending.abort(new InterruptedError("the run is over"));
    await Promise.allSettled(this.expanded.values());
    for (const id of this.leases.keys()) this.release(id);
  }
}

/**
 * The fixtures of a run: finds them in the cache or has them built, each once, whoever asks: several files of this
 * run, fixtures that build on them, other runs that use the same cache.
 *
 * A build has a runner of its own beside those of the files, so whoever waits for it can wait where it stands: with
 * `--jobs 1`, too, and several fixtures deep.
 */

import { existsSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { HostError, ProviumError } from "../errors/errors.ts";
import type { EventStream } from "../events/stream.ts";
import { compressFiles, expandFiles } from "../fixture/compression.ts";
import { baseOf, circle, type KeyContext, moved, restOf } from "../fixture/key.ts";
import { findFixture, fixturePath, fixtureTitle, noFixture } from "../fixture/names.ts";
import { type Dependency, sorted } from "../fixture/recorder.ts";
import type { FixtureReference } from "../fixture/scan.ts";
import type { Entry, Store } from "../fixture/store.ts";
import type { FixtureAnswer, FixtureRequest } from "../lab/ports.ts";
import type { BuiltFixture, Down, Job, Request } from "../runner/protocol.ts";
import type { FileLock } from "../sys/lock.ts";
import { BuilderLost, FixtureBuild } from "./fixture-build.ts";
import { changedSince } from "./fixture-changes.ts";
import { Circles } from "./fixture-circles.ts";
import { fixtureTitles } from "./fixture-files.ts";
import type { Pool } from "./pool.ts";
import type { StartRunner } from "./runner-process.ts";

/** How often it is looked whether another process has finished its build. */
const LOOK_AGAIN_MS = 50;
/** A builder that vanished, or a file that changed meanwhile: how often a build is begun for one who asks. */
const ATTEMPTS = 2;

export interface FixturePlan {
  readonly store: Store;
  readonly keys: KeyContext;
  /** Entries are stored compressed. */
  readonly compress: boolean;
  /** Everything about the job of a build but its directories. */
  readonly job: (file: string, path: string) => Omit<Job, "directory" | "staging">;
  /** Builds that nobody waits for yet, at a time. */
  readonly ahead: number;
  /** Bytes that a builder may occupy. */
  readonly runnerMemory: number;
}

export interface FixtureSurroundings {
  readonly stream: EventStream;
  readonly startRunner: StartRunner;
  readonly pool: Pool;
  /** The path of a private directory below the run's. */
  readonly directory: (name: string) => string;
  /** Answers what a build asks for. */
  readonly serve: (id: number, request: Request, job: Job, reply: (message: Down) => boolean) => void;
}

/** Who waits for a fixture: a test file, or the build of another fixture. */
export interface Asker {
  /** Names it in events and in the pool. */
  readonly path: string;
  /** The Lua file. */
  readonly file: string;
}

/** A fixture that was looked up. */
interface Known {
  readonly file: string;
  readonly title: string;
  /** Names the file in messages. */
  readonly path: string;
  readonly base: string;
}

interface Lease {
  readonly asker: string;
  readonly entry: Entry;
  readonly title: string;
  readonly hold: FileLock | undefined;
  /** It was in the cache already. */
  readonly hit: boolean;
}

interface Build {
  readonly entry: Promise<Entry>;
  /** For whom it was begun. */
  readonly for: string;
}

export class Fixtures {
  private readonly builds = new Map<string, Build>();
  private readonly running = new Set<FixtureBuild>();
  /** Builds that have failed are not tried again in this run. */
  private readonly failures = new Map<string, unknown>();
  /** The build of each fixture that could not be restored first. */
  private readonly suspects = new Map<string, string>();
  private readonly expanded = new Map<string, Promise<string>>();
  private readonly leases = new Map<number, Lease>();
  /** What the fixtures that a running build uses were themselves seen to use, by the path of its job. */
  private readonly inherited = new Map<string, Dependency[]>();
  private readonly circles = new Circles();
  private nextLease = 1;
  private serial = 0;
  private stopped: string | undefined;

  constructor(
    private readonly plan: FixturePlan,
    private readonly around: FixtureSurroundings,
  ) {}

  // --- asking ----------------------------------------------------------------------------------------------

  /** Waits until the fixture is there. Throws `ProviumError`. */
  async obtain(request: FixtureRequest, asker: Asker): Promise<FixtureAnswer> {
    const { pool } = this.around;
    pool.park(asker.path);
    try {
      const known = await this.lookUp(request);
      if (request.failed !== undefined) await this.doubt(known, request.failed);
      for (;;) {
        const there = await this.find(known);
        const entry = there ?? (await this.built(known, asker));
        this.checkKind(entry, request, known.title);
        this.inherit(asker, known, entry);
        const answer = await this.handOut(known, entry, asker, there !== undefined);
        if (answer !== undefined) return answer;
      }
    } finally {
      pool.unpark(asker.path);
    }
  }

  /** Its machines run. */
  restored(lease: number): void {
    const held = this.leases.get(lease);
    if (held === undefined) return;
    this.leases.delete(lease);
    held.hold?.close();
    this.plan.store.touch(held.entry);
    if (held.hit) this.around.stream.emit("fixture_cache_hit", { path: held.title });
  }

  /** Whoever asked for it is gone. */
  unwanted(lease: number): void {
    this.leases.get(lease)?.hold?.close();
    this.leases.delete(lease);
  }

  /** The file is over: what it was handed out it does not need any more. */
  fileEnded(path: string): void {
    for (const [id, { asker }] of this.leases) if (asker === path) this.unwanted(id);
  }

  /** Makes room, and has fixtures built before anybody waits for them. What fails is told to the first who asks. */
  ahead(wanted: readonly { readonly reference: FixtureReference; readonly asker: Asker }[]): void {
    this.plan.store.evict();
    const queue = [...wanted];
    const next = async (): Promise<void> => {
      for (let one = queue.shift(); one !== undefined && this.stopped === undefined; one = queue.shift())
        await this.ensure(one.reference, one.asker).catch(() => {});
    };
    for (let i = 0; i < this.plan.ahead; i++) void next();
  }

  /** Has a fixture in the cache. True: it was there. Throws `ProviumError`. `anew`: whatever there is of it goes first. */
  async ensure(reference: FixtureReference, asker: Asker, anew = false): Promise<boolean> {
    const known = await this.lookUp(reference);
    if (anew) for (const entry of this.plan.store.entriesOf(known.base)) this.plan.store.remove(entry);
    if ((await this.find(known)) !== undefined) return true;
    await this.built(known, asker);
    return false;
  }

  /** Whether the fixture of that file is in the cache. Throws `ProviumError`. */
  async isCached(file: string): Promise<boolean> {
    return (await this.find(await this.known(file))) !== undefined;
  }

  /** No new builds; those under way are asked to end. */
  stop(reason: string): void {
    this.stopped ??= reason;
    for (const build of this.running) build.stop(reason);
  }

  /** Ends every build and lets go of everything. */
  async close(): Promise<void> {
    this.stopped ??= "the run is over";
    await Promise.all([...this.running].map((build) => build.kill()));
    // Those that wait for their ends put away what they have staged.
    await Promise.allSettled([...this.builds.values()].map(({ entry }) => entry));
    for (const { hold } of this.leases.values()) hold?.close();
    this.leases.clear();
    this.plan.keys.hashes.save();
  }

  // --- looking ---------------------------------------------------------------------------------------------

  private async lookUp(reference: FixtureReference): Promise<Known> {
    const { places } = this.plan.keys;
    const file = findFixture(reference, places);
    if (file === undefined) throw noFixture(reference, places, fixtureTitles(places));
    return this.known(file);
  }

  private async known(file: string): Promise<Known> {
    const { places } = this.plan.keys;
    const path = fixturePath(file, places);
    return { file, title: fixtureTitle(path), path, base: await baseOf(file, this.plan.keys) };
  }

  /** The entry whose second half of the key is that of now. */
  private async find({ base, file }: Known): Promise<Entry | undefined> {
    for (const entry of this.plan.store.entriesOf(base))
      if (base + (await restOf(file, entry.label.dependencies, this.plan.keys)) === entry.key) return entry;
    return undefined;
  }

  private checkKind(entry: Entry, request: FixtureRequest, title: string): void {
    const { kind } = entry.label;
    if (kind === request.kind) return;
    throw new ProviumError(
      kind === "lab"
        ? `fixture \`${title}\` is a snapshot of a lab, not of one vm`
        : `fixture \`${title}\` is a snapshot of one vm, not of a lab`,
      {
        hint:
          kind === "lab"
            ? `Use provium:lab_fixture("${request.name}").`
            : `Use provium:vm_fixture("${request.name}").`,
      },
    );
  }

  /** What a fixture depends on, the one that is built upon it depends on too. */
  private inherit(asker: Asker, known: Known, entry: Entry): void {
    this.inherited.get(asker.path)?.push(...moved(entry.label.dependencies, known.file, asker.file));
  }

  // --- handing out -----------------------------------------------------------------------------------------

  /** Undefined: the entry went away meanwhile. */
  private async handOut(
    known: Known,
    entry: Entry,
    asker: Asker,
    hit: boolean,
  ): Promise<FixtureAnswer | undefined> {
    const { store } = this.plan;
    const hold = store.hold(entry);
    let directory = entry.path;
    try {
      if (entry.label.compressed.length > 0) directory = await this.expand(entry);
      if (!existsSync(directory)) {
        hold?.close();
        return undefined;
      }
    } catch (error) {
      hold?.close();
      await this.doubt(known, { build: entry.label.build, reason: messageOf(error) });
      return undefined;
    }
    const lease = this.nextLease++;
    this.leases.set(lease, { asker: asker.path, entry, title: known.title, hold, hit });
    return { directory, title: known.title, build: entry.label.build, lease };
  }

  /** Unpacks a compressed entry, once for the whole run. */
  private expand(entry: Entry): Promise<string> {
    const { build, compressed } = entry.label;
    const known = this.expanded.get(build);
    if (known !== undefined) return known;
    const directory = this.around.directory(`fixture-${build}`);
    const work = expandFiles(entry.path, directory, compressed).then(() => directory);
    this.expanded.set(build, work);
    work.catch(() => {
      this.expanded.delete(build);
      rmSync(directory, { recursive: true, force: true });
    });
    return work;
  }

  /** What was handed out could not be restored: it goes, and is built once more; a second time is an error. */
  private async doubt(
    known: Known,
    failed: { readonly build: string; readonly reason: string },
  ): Promise<void> {
    const { base, title } = known;
    const first = this.suspects.get(base);
    if (first !== undefined && first !== failed.build)
      throw new HostError(
        `fixture \`${title}\` was built anew and still cannot be restored: ${failed.reason}`,
      );
    if (first === undefined) {
      this.suspects.set(base, failed.build);
      const text = `fixture \`${title}\` cannot be restored and is built anew: ${failed.reason}`;
      this.around.stream.emit("notice", { level: "warning", text });
    }
    for (const entry of this.plan.store.entriesOf(base))
      if (entry.label.build === failed.build) this.plan.store.remove(entry);
  }

  // --- building --------------------------------------------------------------------------------------------

  /** The entry, from the build that is under way or from one that is begun now. */
  private async built(known: Known, asker: Asker): Promise<Entry> {
    const { base, title, file } = known;
    if (this.failures.has(base)) throw this.failures.get(base);
    const round = this.circles.enter(asker.file, file);
    if (round !== undefined) throw circle(round, this.plan.keys.places);
    try {
      const under = this.builds.get(base);
      if (under !== undefined) {
        this.around.stream.emit("fixture_build_waiting", { path: title, held_by_file: under.for });
        return await under.entry;
      }
      const entry = this.make(known, asker).finally(() => this.builds.delete(base));
      this.builds.set(base, { entry, for: asker.path });
      return await entry;
    } finally {
      this.circles.leave(asker.file, file);
    }
  }

  private async make(known: Known, asker: Asker): Promise<Entry> {
    const { store } = this.plan;
    const lock = await this.becomeBuilder(known, asker);
    try {
      // Whoever held the lock before may have built it.
      return (await this.find(known)) ?? (await this.attempts(known));
    } catch (cause) {
      const error = new ProviumError(`fixture \`${known.title}\` could not be built: ${messageOf(cause)}`, {
        cause,
        hint: cause instanceof ProviumError ? cause.hint : undefined,
      });
      this.failures.set(known.base, error);
      throw error;
    } finally {
      store.unlockBuild(known.base, lock);
    }
  }

  /** Waits until nobody else builds it. */
  private async becomeBuilder({ base, title }: Known, asker: Asker): Promise<FileLock> {
    const { store } = this.plan;
    for (let told = false; ; ) {
      if (this.stopped !== undefined) throw new HostError(this.stopped);
      const lock = store.lockBuild(base, asker.path);
      if (lock !== undefined) return lock;
      if (!told)
        this.around.stream.emit("fixture_build_waiting", { path: title, held_by_file: store.builder(base) });
      told = true;
      await Bun.sleep(LOOK_AGAIN_MS);
    }
  }

  private async attempts(known: Known): Promise<Entry> {
    for (let attempt = 1; ; attempt++) {
      try {
        const entry = await this.build(known);
        if (entry !== undefined) return entry;
        if (attempt === ATTEMPTS)
          throw new HostError("files that it depends on changed while it was being built");
      } catch (error) {
        if (!(error instanceof BuilderLost) || attempt === ATTEMPTS || this.stopped !== undefined)
          throw error;
      }
    }
  }

  /** One build, told by events. Undefined: what it depends on changed meanwhile. */
  private async build(known: Known): Promise<Entry | undefined> {
    const { stream } = this.around;
    const started = performance.now();
    const elapsed = (): number => Math.round((performance.now() - started) * 1e6);
    stream.emit("fixture_build_started", { path: known.title });
    try {
      const entry = await this.buildStaged(known);
      if (entry === undefined) {
        const reason = "files that it depends on changed meanwhile";
        stream.emit("fixture_build_failed", { path: known.title, duration_ns: elapsed(), reason });
      } else {
        const { bytes } = entry.label;
        stream.emit("fixture_build_done", {
          path: known.title,
          duration_ns: elapsed(),
          snapshot_bytes: bytes,
        });
      }
      return entry;
    } catch (error) {
      const reason = messageOf(error);
      stream.emit("fixture_build_failed", { path: known.title, duration_ns: elapsed(), reason });
      throw error;
    }
  }

  private async buildStaged(known: Known): Promise<Entry | undefined> {
    const { store, compress, keys } = this.plan;
    const staging = store.stage(known.base);
    try {
      const since = Date.now();
      const { built, inherited } = await this.runBuilder(known, staging);
      const dependencies = sorted([...built.dependencies, ...inherited]);
      const base = await baseOf(known.file, keys);
      if (base !== known.base || changedSince(since, dependencies, known.file)) return undefined;
      const key = base + (await restOf(known.file, dependencies, keys));
      const snapshot = await this.gather(built.snapshot, staging);
      const compressed = compress ? await compressFiles(snapshot) : [];
      const entry = store.install(snapshot, key, {
        title: known.title,
        kind: built.kind,
        dependencies,
        compressed,
      });
      const hold = store.hold(entry);
      store.evict();
      hold?.close();
      return entry;
    } catch (error) {
      throw error instanceof ProviumError ? error : store.unwritable(error);
    } finally {
      rmSync(staging, { recursive: true, force: true });
    }
  }

  /** The returned snapshot on the cache's file system, to be moved or changed as we like. */
  private async gather(snapshot: string, staging: string): Promise<string> {
    if (dirname(snapshot) === staging) return snapshot;
    const copy = join(staging, "copy");
    await expandFiles(snapshot, copy, []);
    return copy;
  }

  private async runBuilder(
    { file, path }: Known,
    staging: string,
  ): Promise<{ built: BuiltFixture; inherited: readonly Dependency[] }> {
    const { plan, around } = this;
    if (this.stopped !== undefined) throw new HostError(this.stopped);
    const inherited: Dependency[] = [];
    this.inherited.set(path, inherited);
    const directory = around.directory(`build-${++this.serial}`);
    const job: Job = { ...plan.job(file, path), directory, staging };
    const { stream, startRunner, pool } = around;
    pool.enter(path);
    const build = new FixtureBuild({
      job,
      stream,
      startRunner,
      runnerMemory: plan.runnerMemory,
      serve: (id, request, reply) => around.serve(id, request, job, reply),
    });
    this.running.add(build);
    try {
      const built = await build.result();
      return { built, inherited };
    } finally {
      // Machines of the build are gone before anybody is promised their memory.
      await build.kill();
      this.running.delete(build);
      this.inherited.delete(path);
      this.fileEnded(path);
      pool.leave(path);
    }
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Builds fixtures: one at a time for each key, whoever else wants it, from the lock to the entry in the cache. */

import { rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { HostError, ProviumError } from "../errors/errors.ts";
import { compressFiles, expandFiles } from "../fixture/compression.ts";
import { baseOf, moved, restOf } from "../fixture/key.ts";
import { type Dependency, sorted } from "../fixture/recorder.ts";
import type { Entry } from "../fixture/store.ts";
import type { BuiltFixture, Job } from "../runner/protocol.ts";
import type { FileLock } from "../sys/lock.ts";
import { BuilderLost, FixtureBuild } from "./fixture-build.ts";
import { changedSince } from "./fixture-changes.ts";
import type { Asker, FixturePlan, FixtureSurroundings } from "./fixture-plan.ts";
import type { Known, Shelf } from "./fixture-shelf.ts";

/** How often it is looked whether another process has finished its build. */
const LOOK_AGAIN_MS = 50;
/** When people are told for whom they wait: another run may have been stopped, or build for very long. */
const PATIENCE_MS = 10_000;
/** A builder that vanished, or a file that changed meanwhile: how often a build is begun for one who asks. */
const ATTEMPTS = 2;

export class FixtureWorks {
  private readonly running = new Set<FixtureBuild>();
  /** What the fixtures that a running build uses were themselves seen to use, by the path of its job. */
  private readonly inherited = new Map<string, Dependency[]>();
  private serial = 0;
  private stopped: string | undefined;

  constructor(
    private readonly plan: FixturePlan,
    private readonly around: FixtureSurroundings,
    private readonly shelf: Shelf,
    /** A build is over: what it was handed out it does not need any more. */
    private readonly ended: (path: string) => void,
  ) {}

  /** What a fixture depends on, the one that is built upon it depends on too. */
  inherit(asker: Asker, known: Known, entry: Entry): void {
    this.inherited.get(asker.path)?.push(...moved(entry.label.dependencies, known.file, asker.file));
  }

  /** No new builds; those under way are asked to end. */
  stop(reason: string): void {
    this.stopped ??= reason;
    for (const build of this.running) build.stop(reason);
  }

  /** Ends every build now. */
  async kill(): Promise<void> {
    this.stopped ??= "the run is over";
    await Promise.all([...this.running].map((build) => build.kill()));
  }

  /** Builds the fixture, unless another process does so first. Throws `ProviumError`. */
  async make(known: Known, asker: Asker): Promise<Entry> {
    const { store } = this.plan;
    const lock = await this.becomeBuilder(known, asker);
    try {
      // Whoever held the lock before may have built it.
      return (await this.shelf.find(known)) ?? (await this.attempts(known));
    } finally {
      store.unlockBuild(known.base, lock);
    }
  }

  /** Waits until nobody else builds it. */
  private async becomeBuilder({ base, title }: Known, asker: Asker): Promise<FileLock> {
    const { store, patienceMs = PATIENCE_MS } = this.plan;
    const { stream } = this.around;
    const begun = performance.now();
    for (let told: "event" | "notice" | undefined; ; ) {
      if (this.stopped !== undefined) throw new HostError(this.stopped);
      const lock = store.lockBuild(base, asker.path);
      if (lock !== undefined) return lock;
      const { asker: other, pid } = store.builder(base);
      if (told === undefined) {
        stream.emit("fixture_build_waiting", { path: title, held_by_file: other });
        told = "event";
      } else if (told === "event" && performance.now() - begun > patienceMs) {
        const who = pid === "" ? "somebody locks it" : `process ${pid} has been building it for \`${other}\``;
        stream.emit("notice", { level: "warning", text: `fixture \`${title}\` is awaited: ${who}` });
        told = "notice";
      }
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
    { file, path, title }: Known,
    staging: string,
  ): Promise<{ built: BuiltFixture; inherited: readonly Dependency[] }> {
    const { plan, around } = this;
    if (this.stopped !== undefined) throw new HostError(this.stopped);
    const inherited: Dependency[] = [];
    // Not the file's path: the file might be running as a test of this run as well.
    const name = `fixture ${title}`;
    this.inherited.set(name, inherited);
    const directory = around.directory(`build-${++this.serial}`);
    const job: Job = { ...plan.job(file, path), directory, staging };
    const { stream, startRunner, schedule } = around;
    schedule({ event: "begun", path: name });
    const build = new FixtureBuild({
      job,
      stream,
      startRunner,
      runnerMemory: plan.runnerMemory,
      serve: (id, request, reply) => around.serve(id, request, { ...job, path: name }, reply),
    });
    this.running.add(build);
    try {
      const built = await build.result();
      return { built, inherited };
    } finally {
      // Machines of the build are gone before anybody is promised their memory.
      await build.kill();
      this.running.delete(build);
      this.inherited.delete(name);
      this.ended(name);
      schedule({ event: "ended", path: name });
    }
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

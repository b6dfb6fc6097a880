/**
 * The fixtures of a run: finds them in the cache or has them built, each once, whoever asks: several files of this
 * run, fixtures that build on them, other runs that use the same cache.
 *
 * A build has a runner of its own beside those of the files, so whoever waits for it can wait where it stands: with
 * `--jobs 1`, too, and several fixtures deep.
 */

import { HostError, InterruptedError, ProviumError } from "../errors/errors.ts";
import { isShortage, shortageOf } from "../errors/shortage.ts";
import { circle } from "../fixture/key.ts";
import type { FixtureReference } from "../fixture/scan.ts";
import type { Entry } from "../fixture/store.ts";
import type { FixtureAnswer, FixtureRequest } from "../lab/ports.ts";
import { Circles } from "./fixture-circles.ts";
import { Leases } from "./fixture-leases.ts";
import type { Asker, FixturePlan, FixtureSurroundings } from "./fixture-plan.ts";
import { type Known, Shelf } from "./fixture-shelf.ts";
import { FixtureWorks } from "./fixture-works.ts";

/** After this an entry that was going away is looked for again. */
const LOOK_AGAIN_MS = 50;

interface Build {
  readonly entry: Promise<Entry>;
  /** For whom it was begun. */
  readonly for: string;
}

export class Fixtures {
  private readonly builds = new Map<string, Build>();
  /** Builds that have failed are not tried again in this run. */
  private readonly failures = new Map<string, unknown>();
  /** The build of each fixture that could not be restored first. */
  private readonly suspects = new Map<string, string>();
  private readonly circles = new Circles();
  private waits = 0;
  private stopped = false;
  private readonly shelf: Shelf;
  private readonly works: FixtureWorks;
  private readonly leases: Leases;

  constructor(
    private readonly plan: FixturePlan,
    private readonly around: FixtureSurroundings,
  ) {
    this.shelf = new Shelf(plan.store, plan.keys);
    this.leases = new Leases(plan.store, around.stream, around.directory);
    this.works = new FixtureWorks(plan, around, this.shelf, (path) => this.fileEnded(path));
  }

  // --- asking ----------------------------------------------------------------------------------------------

  /** Waits until the fixture is there. Throws `ProviumError`. */
  async obtain(request: FixtureRequest, asker: Asker): Promise<FixtureAnswer> {
    const { path } = asker;
    const wait = ++this.waits;
    this.around.schedule({ event: "parked", path, wait });
    try {
      const known = await this.shelf.lookUp(request);
      if (request.failed !== undefined) this.doubt(known, request.failed);
      for (;;) {
        const there = await this.shelf.find(known);
        const entry = there ?? (await this.built(known, asker));
        checkKind(entry, request, known.title);
        this.works.inherit(asker, known, entry);
        const answer = await this.handOut(known, entry, asker, there !== undefined);
        if (answer !== undefined) return answer;
        await Bun.sleep(LOOK_AGAIN_MS);
      }
    } finally {
      this.around.schedule({ event: "unparked", path, wait });
    }
  }

  /** Undefined: the entry is of no use; it is to be looked for again. */
  private async handOut(
    known: Known,
    entry: Entry,
    asker: Asker,
    hit: boolean,
  ): Promise<FixtureAnswer | undefined> {
    try {
      return await this.leases.handOut(known.title, entry, asker.path, hit);
    } catch (error) {
      if (error instanceof InterruptedError) throw error;
      if (isShortage(error))
        throw new HostError(`fixture \`${known.title}\` cannot be restored: ${messageOf(error)}`, {
          cause: error,
          hint: shortageOf(error)?.hint,
        });
      this.doubt(known, { build: entry.label.build, reason: messageOf(error) });
      return undefined;
    }
  }

  /** The machines of what was handed out run. */
  restored(lease: number): void {
    this.leases.restored(lease);
  }

  /** Whoever asked is gone. */
  unwanted(lease: number): void {
    this.leases.release(lease);
  }

  /** The file is over: what it was handed out it does not need any more. */
  fileEnded(path: string): void {
    this.leases.releaseOf(path);
  }

  /** Makes room, and has fixtures built before anybody waits for them. What fails is told to the first who asks. */
  ahead(wanted: readonly { readonly reference: FixtureReference; readonly asker: Asker }[]): void {
    this.plan.store.evict();
    const queue = [...wanted];
    const next = async (): Promise<void> => {
      for (let one = queue.shift(); one !== undefined && !this.stopped; one = queue.shift())
        await this.ensure(one.reference, one.asker).catch(() => {});
    };
    for (let i = 0; i < this.plan.ahead; i++) void next();
  }

  /** Has a fixture in the cache. True: it was there. Throws `ProviumError`. `anew`: whatever there is of it goes first. */
  async ensure(reference: FixtureReference, asker: Asker, anew = false): Promise<boolean> {
    const known = await this.shelf.lookUp(reference);
    if (anew) for (const entry of this.plan.store.entriesOf(known.base)) this.plan.store.remove(entry);
    if ((await this.shelf.find(known)) !== undefined) return true;
    await this.built(known, asker);
    return false;
  }

  /** Whether the fixture of that file is in the cache. Throws `ProviumError`. */
  async isCached(file: string): Promise<boolean> {
    return (await this.shelf.find(await this.shelf.known(file))) !== undefined;
  }

  /** No new builds; those under way are asked to end. */
  stop(reason: string): void {
    this.stopped = true;
    this.works.stop(reason);
  }

  /** Ends every build and lets go of everything. */
  async close(): Promise<void> {
    this.stopped = true;
    await this.works.kill();
    // Those that wait for their ends put away what they have staged.
    await Promise.allSettled([...this.builds.values()].map(({ entry }) => entry));
    await this.leases.close();
    this.plan.keys.hashes.save();
  }

  // --- doubts ----------------------------------------------------------------------------------------------

  /** What was handed out could not be restored: it goes, and is built once more; a second time is an error. */
  private doubt(known: Known, failed: { readonly build: string; readonly reason: string }): void {
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
    const { store } = this.plan;
    for (const entry of store.entriesOf(base))
      if (entry.label.build === failed.build && !store.remove(entry))
        throw new HostError(
          `fixture \`${title}\` cannot be restored, nor removed from the cache \`${store.directory}\`: ${failed.reason}`,
        );
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
    try {
      return await this.works.make(known, asker);
    } catch (cause) {
      const error = new ProviumError(`fixture \`${known.title}\` could not be built: ${messageOf(cause)}`, {
        cause,
        hint: cause instanceof ProviumError ? cause.hint : undefined,
      });
      this.failures.set(known.base, error);
      throw error;
    }
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const checkKind = (entry: Entry, request: FixtureRequest, title: string): void => {
  const { kind } = entry.label;
  if (kind === request.kind) return;
  const [is, isNot] = kind === "lab" ? ["a lab", "one vm"] : ["one vm", "a lab"];
  throw new ProviumError(`fixture \`${title}\` is a snapshot of ${is}, not of ${isNot}`, {
    hint: `Use provium:${kind}_fixture("${request.name}").`,
  });
};

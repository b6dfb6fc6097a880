/** From the name of a fixture to its file, its key, and the entry in the cache, if there is one. */

import { baseOf, type KeyContext, restOf } from "../fixture/key.ts";
import { findFixture, fixturePath, fixtureTitle, noFixture } from "../fixture/names.ts";
import type { FixtureReference } from "../fixture/scan.ts";
import type { Entry, Store } from "../fixture/store.ts";
import { fixtureTitles } from "./fixture-files.ts";

/** A fixture that was looked up. */
export interface Known {
  readonly file: string;
  readonly title: string;
  /** Names the file in messages. */
  readonly path: string;
  /** The first half of its key. */
  readonly base: string;
}

export class Shelf {
  constructor(
    private readonly store: Store,
    private readonly keys: KeyContext,
  ) {}

  /** Throws `ApiError` for a fixture that nobody has written, naming where it was looked for. */
  async lookUp(reference: FixtureReference): Promise<Known> {
    const { places } = this.keys;
    const file = findFixture(reference, places);
    if (file === undefined) throw noFixture(reference, places, fixtureTitles(places));
    return this.known(file);
  }

  async known(file: string): Promise<Known> {
    const path = fixturePath(file, this.keys.places);
    return { file, title: fixtureTitle(path), path, base: await baseOf(file, this.keys) };
  }

  /** The entry whose second half of the key is that of now. */
  async find({ base, file }: Known): Promise<Entry | undefined> {
    for (const entry of this.store.entriesOf(base))
      if (base + (await restOf(file, entry.label.dependencies, this.keys)) === entry.key) return entry;
    return undefined;
  }
}

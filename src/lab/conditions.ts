/**
 * What is wrong on a bridge, by wish: impairments of the whole bridge and of single directions, cut directions,
 * isolated members. Pure: names in, a plan for the backend out.
 *
 * A setting of one direction takes the place of the same setting of the whole bridge; a later call takes the
 * place of an earlier one with the same scope, and zero removes it.
 */

import type { Impairment, Plan, PlannedPair } from "../net/backend.ts";

export type Quality = keyof Impairment;

/** One direction: (from, to). */
export type Direction = readonly [from: string, to: string];

/** What applies to one direction. */
export interface Condition {
  readonly cut: boolean;
  readonly impairment: Impairment;
}

const keyOf = (from: string, to: string): string => JSON.stringify([from, to]);

const without = (impairment: Impairment): Impairment =>
  Object.fromEntries(Object.entries(impairment).filter(([, value]) => value !== undefined && value !== 0));

/** All of it as data: what a snapshot of a lab keeps. */
export interface SavedConditions {
  readonly whole: Impairment;
  readonly directed: readonly (readonly [from: string, to: string, impairment: Impairment])[];
  readonly cuts: readonly Direction[];
  readonly isolated: readonly string[];
}

export class Conditions {
  private whole: Impairment = {};
  private readonly directed = new Map<string, Impairment>();
  private readonly cuts = new Set<string>();
  private readonly isolated = new Set<string>();

  /** Sets qualities of the whole bridge, or of one direction. */
  set(settings: Impairment, direction?: Direction): void {
    if (direction === undefined) {
      this.whole = without({ ...this.whole, ...settings });
      return;
    }
    const key = keyOf(...direction);
    // Zero is kept: it takes the place of what the whole bridge has.
    this.directed.set(key, { ...this.directed.get(key), ...settings });
  }

  /** The value that the whole bridge has; 0 without one. */
  wholeOf(quality: Quality): number {
    return this.whole[quality] ?? 0;
  }

  cut(directions: readonly Direction[]): void {
    for (const direction of directions) this.cuts.add(keyOf(...direction));
  }

  mend(directions: readonly Direction[]): void {
    for (const direction of directions) this.cuts.delete(keyOf(...direction));
  }

  mendAll(): void {
    this.cuts.clear();
  }

  isCut(from: string, to: string): boolean {
    return this.cuts.has(keyOf(from, to));
  }

  isolate(name: string): void {
    this.isolated.add(name);
  }

  unisolate(name: string): void {
    this.isolated.delete(name);
  }

  isIsolated(name: string): boolean {
    return this.isolated.has(name);
  }

  state(): SavedConditions {
    return {
      whole: this.whole,
      directed: [...this.directed].map(([key, impairment]) => [
        ...(JSON.parse(key) as Direction),
        impairment,
      ]),
      cuts: [...this.cuts].map((key) => JSON.parse(key) as Direction),
      isolated: [...this.isolated],
    };
  }

  /** Takes the place of everything that was. */
  load({ whole, directed, cuts, isolated }: SavedConditions): void {
    this.reset();
    this.whole = without(whole);
    for (const [from, to, impairment] of directed) this.directed.set(keyOf(from, to), impairment);
    this.cut(cuts);
    for (const name of isolated) this.isolate(name);
  }

  /** Removes everything. */
  reset(): void {
    this.whole = {};
    this.directed.clear();
    this.cuts.clear();
    this.isolated.clear();
  }

  /** Forgets what was said of a member that has left. */
  forget(name: string): void {
    this.isolated.delete(name);
    for (const keys of [this.directed, this.cuts])
      for (const key of keys.keys()) if ((JSON.parse(key) as Direction).includes(name)) keys.delete(key);
  }

  between(from: string, to: string): Condition {
    return {
      cut: this.isCut(from, to) || this.isolated.has(from) || this.isolated.has(to),
      impairment: without({ ...this.whole, ...this.directed.get(keyOf(from, to)) }),
    };
  }

  /** Every direction between the named ports that is not plain forwarding. Ports marked `down` are cut off. */
  plan(
    seed: bigint,
    ports: readonly { readonly name: string; readonly id: number; readonly down?: boolean }[],
  ): Plan {
    const pairs: PlannedPair[] = [];
    for (const from of ports)
      for (const to of ports) {
        if (from === to) continue;
        const { cut, impairment } = this.between(from.name, to.name);
        const dead = cut || from.down === true || to.down === true;
        if (dead || Object.keys(impairment).length > 0)
          pairs.push({ from: from.id, to: to.id, cut: dead, impairment });
      }
    return { seed, pairs };
  }
}

/** Who waits for whose build. A circle would wait for ever, so it is refused where it would close. */

export class Circles {
  private readonly waits = new Map<string, Map<string, number>>();

  /** `from` waits for `to` from now on; or the way from `from` back to itself when that would close a circle. */
  enter(from: string, to: string): readonly string[] | undefined {
    const way = this.way(to, from);
    if (way !== undefined) return [from, ...way];
    const targets = this.waits.get(from) ?? new Map<string, number>();
    this.waits.set(from, targets.set(to, (targets.get(to) ?? 0) + 1));
    return undefined;
  }

  leave(from: string, to: string): void {
    const targets = this.waits.get(from);
    const times = (targets?.get(to) ?? 1) - 1;
    if (times > 0) targets?.set(to, times);
    else targets?.delete(to);
    if (targets?.size === 0) this.waits.delete(from);
  }

  private way(from: string, to: string): readonly string[] | undefined {
    if (from === to) return [from];
    for (const next of this.waits.get(from)?.keys() ?? []) {
      const rest = this.way(next, to);
      if (rest !== undefined) return [from, ...rest];
    }
    return undefined;
  }
}

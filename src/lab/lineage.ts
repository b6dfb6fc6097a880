/**
 * Which past a VM has. Handles into a guest are of one epoch; a boot, a reset, a snapshot and a restore each begin a
 * new one. A boot forgets all earlier epochs. A restore goes back to those that led to the snapshot: what was made
 * before it is valid again, what was made since is not.
 */

export class Lineage {
  private line: readonly number[] = [];
  private last = 0;
  private boot = 0;
  private readonly bootOf = new Map<number, number>();

  /** The epoch of what is made now; 0 before the first boot. */
  get now(): number {
    return this.line.at(-1) ?? 0;
  }

  /** A boot or a reset. */
  begin(): void {
    this.boot++;
    this.go([]);
  }

  /** A snapshot: the epochs that led to it. */
  branch(): readonly number[] {
    const { line } = this;
    this.go(line);
    return line;
  }

  /** A restore of the snapshot to which these epochs led. */
  goBack(line: readonly number[]): void {
    this.boot = this.bootOf.get(line.at(-1) ?? 0) ?? this.boot;
    this.go(line);
  }

  /** Whether what was made in that epoch is part of the present. */
  holds(epoch: number): boolean {
    return this.line.includes(epoch);
  }

  /** Why what was made in an epoch that is not held is gone. */
  lost(epoch: number): string {
    return this.bootOf.get(epoch) === this.boot
      ? "was made after the snapshot that its vm has been restored to"
      : "ended with an earlier boot of that vm";
  }

  private go(line: readonly number[]): void {
    this.line = [...line, ++this.last];
    this.bootOf.set(this.last, this.boot);
  }
}

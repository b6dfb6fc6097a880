/**
 * Memory and CPUs that the files of a run share. A file reserves a small overhead while it runs; each machine
 * draws its memory and CPUs when it is launched and gives them back when it is gone.
 *
 * Draws are granted in the order in which they came. When every running file waits for a draw nothing would ever
 * come back, so the oldest goes ahead. Memory is never promised to a file that could not have it alone; CPUs are
 * shared by the kernel, so a file may use more of them than there are, once nobody else is waiting.
 */

import { formatSize } from "../config/units.ts";
import { HostError } from "../errors/errors.ts";
import type { ResourceAmount } from "../events/types.ts";

export const FILE_OVERHEAD: ResourceAmount = { memory_bytes: 50 * 2 ** 20, cpus: 0 };

interface Draw {
  readonly file: string;
  readonly amount: ResourceAmount;
  readonly grant: (id: number) => void;
}

const plus = (a: ResourceAmount, b: ResourceAmount): ResourceAmount => ({
  memory_bytes: a.memory_bytes + b.memory_bytes,
  cpus: a.cpus + b.cpus,
});

const NOTHING: ResourceAmount = { memory_bytes: 0, cpus: 0 };

export class Pool {
  private readonly files = new Set<string>();
  private readonly granted = new Map<number, { file: string; amount: ResourceAmount }>();
  private waiting: Draw[] = [];
  /** Files that wait for something which another one makes. */
  private readonly parked = new Map<string, number>();
  private nextGrant = 1;

  constructor(readonly total: ResourceAmount) {}

  get used(): ResourceAmount {
    let sum: ResourceAmount = { memory_bytes: this.files.size * FILE_OVERHEAD.memory_bytes, cpus: 0 };
    for (const { amount } of this.granted.values()) sum = plus(sum, amount);
    return sum;
  }

  get available(): ResourceAmount {
    const { memory_bytes, cpus } = this.used;
    return {
      memory_bytes: Math.max(0, this.total.memory_bytes - memory_bytes),
      cpus: Math.max(0, this.total.cpus - cpus),
    };
  }

  /** Reserves the overhead of a file. False: there is no room now. A file that would be alone always gets in. */
  enter(file: string): boolean {
    if (this.files.size > 0 && FILE_OVERHEAD.memory_bytes > this.available.memory_bytes) return false;
    this.files.add(file);
    return true;
  }

  /** Gives back everything that a file holds or waits for. Idempotent. */
  leave(file: string): void {
    this.files.delete(file);
    for (const [id, grant] of this.granted) if (grant.file === file) this.granted.delete(id);
    this.waiting = this.waiting.filter((draw) => draw.file !== file);
    this.serve();
  }

  /** The file waits for something that another one makes: until `unpark` it keeps nobody from going ahead. */
  park(file: string): void {
    this.parked.set(file, (this.parked.get(file) ?? 0) + 1);
    this.serve();
  }

  unpark(file: string): void {
    const times = (this.parked.get(file) ?? 1) - 1;
    if (times === 0) this.parked.delete(file);
    else this.parked.set(file, times);
  }

  /** Calls `grant` with a number for `release` once the machine may start. Throws `HostError` when it never could. */
  draw(file: string, vm: string, amount: ResourceAmount, grant: (id: number) => void): void {
    this.refuseImpossible(file, vm, amount);
    this.waiting.push({ file, amount, grant });
    this.serve();
  }

  release(id: number): void {
    this.granted.delete(id);
    this.serve();
  }

  private heldBy(file: string): ResourceAmount {
    let sum = NOTHING;
    for (const grant of this.granted.values()) if (grant.file === file) sum = plus(sum, grant.amount);
    return sum;
  }

  private refuseImpossible(file: string, vm: string, amount: ResourceAmount): void {
    const held = this.heldBy(file).memory_bytes;
    const memory = this.total.memory_bytes - FILE_OVERHEAD.memory_bytes;
    if (held + amount.memory_bytes > memory) {
      const already = held > 0 ? ` on top of the ${formatSize(held)} that its file holds` : "";
      throw new HostError(
        `vm \`${vm}\` asks for ${formatSize(amount.memory_bytes)} of memory${already}; the pool has ${formatSize(memory)}`,
        { hint: "give the machine less memory, or the run more with --mem" },
      );
    }
    if (amount.cpus > this.total.cpus)
      throw new HostError(`vm \`${vm}\` asks for ${amount.cpus} CPUs; the pool has ${this.total.cpus}`, {
        hint: "give the machine fewer CPUs, or the run more with --cpus",
      });
  }

  private fits(amount: ResourceAmount): boolean {
    const free = this.available;
    return amount.memory_bytes <= free.memory_bytes && amount.cpus <= free.cpus;
  }

  private everybodyWaits(): boolean {
    const waiting = new Set(this.waiting.map((draw) => draw.file));
    return [...this.files].every((file) => waiting.has(file) || this.parked.has(file));
  }

  private serve(): void {
    for (;;) {
      const draw = this.waiting[0];
      if (draw === undefined || !(this.fits(draw.amount) || this.everybodyWaits())) return;
      this.waiting.shift();
      const id = this.nextGrant++;
      this.granted.set(id, { file: draw.file, amount: draw.amount });
      draw.grant(id);
    }
  }
}

/**
 * Who may start and who waits: the decisions of a run, without clock, processes or I/O. A step (something that
 * happened) goes in, actions (what is to be done now) come out.
 *
 * - A file that runs is charged a small overhead plus its claim, or plus what its machines hold where that is more:
 *   machines draw on the claim of their file first.
 * - What does not fit waits. Requests of running files come before files that have not started, each group in its
 *   own order. Something smaller behind may go ahead, but nobody is overtaken more than `patience` times: then
 *   everything behind stands still until it fits.
 * - When every running file waits, nothing would ever come back. Then the file that started first goes ahead, over
 *   the pool if need be; files that wait for what another one makes are passed over. Nobody else ever gets more than
 *   there is, and nobody more than the pool would hold for it alone.
 */

import { formatSize } from "../config/units.ts";
import type { ResourceAmount } from "../events/types.ts";
import { minus, most, NOTHING, plus, within } from "./amount.ts";

export const FILE_OVERHEAD: ResourceAmount = { memory_bytes: 50 * 2 ** 20, cpus: 0 };

export type Step =
  /** A file to run, behind those that wait already. */
  | { readonly event: "queued"; readonly path: string; readonly claim: ResourceAmount }
  /** So many files could be started now, as far as runners go. */
  | { readonly event: "runners"; readonly idle: number }
  | {
      readonly event: "draw";
      readonly id: number;
      readonly path: string;
      readonly vm: string;
      readonly amount: ResourceAmount;
    }
  | {
      readonly event: "claim";
      readonly id: number;
      readonly path: string;
      readonly amount: ResourceAmount;
    }
  /** What the draw of that id has got comes back. */
  | { readonly event: "release"; readonly id: number }
  /** Something runs that never waited in the queue: the build of a fixture, for which others wait. */
  | { readonly event: "begun"; readonly path: string }
  /**
   * The file waits for what another one makes, or no longer: it can give nothing back meanwhile. `wait` is the same number
   * for both: an attempt that is over may be told of when the next one runs.
   */
  | { readonly event: "parked" | "unparked"; readonly path: string; readonly wait: number }
  /** The file is over, and so is everything that it held or waited for. */
  | { readonly event: "ended"; readonly path: string }
  /** No file is to start while so many run: the host is busy as it is. Infinity: it is not. */
  | { readonly event: "pressure"; readonly allowed: number };

export type BlockReason = "pool_full" | "psi_pressure";

export type Action =
  | { readonly act: "dispatch"; readonly path: string; readonly reservation: ResourceAmount }
  | { readonly act: "grant"; readonly id: number }
  | { readonly act: "refuse"; readonly id: number; readonly message: string; readonly hint: string }
  /** Said once per file and reason. */
  | {
      readonly act: "blocked";
      readonly path: string;
      readonly waitingFor: ResourceAmount;
      readonly reason: BlockReason;
    }
  /** Every file waited, and the oldest was given more: the pool is charged this much more than it has. */
  | { readonly act: "overdrawn"; readonly path: string; readonly excess: ResourceAmount };

interface Running {
  readonly path: string;
  claim: ResourceAmount;
  readonly draws: Map<number, ResourceAmount>;
  charge: ResourceAmount;
  /** What it waits for that others make. */
  readonly waits: Set<number>;
}

interface Waiting {
  overtaken: number;
}

interface Wish extends Waiting {
  readonly kind: "draw" | "claim";
  readonly id: number;
  readonly file: Running;
  readonly amount: ResourceAmount;
}

interface Queued extends Waiting {
  readonly path: string;
  readonly claim: ResourceAmount;
  readonly told: Set<BlockReason>;
}

const held = (file: Running): ResourceAmount => [...file.draws.values()].reduce(plus, NOTHING);

const chargeOf = (claim: ResourceAmount, drawn: ResourceAmount): ResourceAmount =>
  plus(FILE_OVERHEAD, most(claim, drawn));

/** Those that one walk along the waiting has found not to fit. */
class Line {
  private readonly passed: Waiting[] = [];
  /** Somebody has been overtaken often enough: who is behind must stand still. */
  still = false;

  constructor(private readonly patience: number) {}

  wait(waiting: Waiting): void {
    this.passed.push(waiting);
    this.still ||= waiting.overtaken >= this.patience;
  }

  overtake(): void {
    for (const waiting of this.passed) {
      waiting.overtaken++;
      this.still ||= waiting.overtaken >= this.patience;
    }
  }
}

export class Schedule {
  /** In the order in which they were dispatched. */
  private readonly running = new Map<string, Running>();
  private readonly owners = new Map<number, Running>();
  private wishes: Wish[] = [];
  private readonly queue: Queued[] = [];
  private idle = 0;
  /** Files that may run under the present pressure; one always may. */
  private allowed = Number.POSITIVE_INFINITY;
  private charged: ResourceAmount = NOTHING;

  constructor(
    readonly total: ResourceAmount,
    private readonly patience: number,
  ) {}

  get used(): ResourceAmount {
    return this.charged;
  }

  get available(): ResourceAmount {
    return most(NOTHING, minus(this.total, this.charged));
  }

  /** Files that have not been dispatched, in order. */
  get waiting(): readonly string[] {
    return this.queue.map(({ path }) => path);
  }

  get waitingFiles(): number {
    return this.queue.length;
  }

  /** Takes note of what happened; what is to be done, in this order. */
  step(step: Step): readonly Action[] {
    switch (step.event) {
      case "queued":
        this.queue.push({ path: step.path, claim: step.claim, overtaken: 0, told: new Set() });
        break;
      case "runners":
        this.idle = step.idle;
        break;
      case "pressure":
        this.allowed = Math.max(1, step.allowed);
        break;
      case "draw":
      case "claim": {
        const file = this.running.get(step.path);
        if (file === undefined) return [];
        const refusal = step.event === "draw" ? this.refuseDraw(file, step) : this.refuseClaim(step);
        if (refusal !== undefined) return [refusal];
        this.wishes.push({ kind: step.event, id: step.id, file, amount: step.amount, overtaken: 0 });
        break;
      }
      case "release": {
        const file = this.owners.get(step.id);
        if (file === undefined) return [];
        this.owners.delete(step.id);
        file.draws.delete(step.id);
        this.recharge(file);
        break;
      }
      case "begun":
        this.run(step.path, FILE_OVERHEAD);
        break;
      case "parked":
      case "unparked": {
        const file = this.running.get(step.path);
        if (file === undefined) return [];
        if (step.event === "parked") file.waits.add(step.wait);
        else file.waits.delete(step.wait);
        break;
      }
      case "ended":
        this.leave(step.path);
        break;
    }
    return this.serve();
  }

  private leave(path: string): void {
    const file = this.running.get(path);
    if (file === undefined) return;
    this.running.delete(path);
    for (const id of file.draws.keys()) this.owners.delete(id);
    this.wishes = this.wishes.filter((wish) => wish.file !== file);
    this.charged = minus(this.charged, file.charge);
  }

  /** Memory that the machines of one file can have at most. */
  private get reach(): number {
    return Math.max(0, this.total.memory_bytes - FILE_OVERHEAD.memory_bytes);
  }

  private refuseDraw(
    file: Running,
    { id, vm, amount }: { readonly id: number; readonly vm: string; readonly amount: ResourceAmount },
  ): Action | undefined {
    const before = held(file).memory_bytes;
    if (before + amount.memory_bytes > this.reach) {
      const already = before > 0 ? ` on top of the ${formatSize(before)} that its file holds` : "";
      return {
        act: "refuse",
        id,
        message: `vm \`${vm}\` asks for ${formatSize(amount.memory_bytes)} of memory${already}; the pool has ${formatSize(this.reach)}`,
        hint: "give the machine less memory, or the run more with --mem",
      };
    }
    if (amount.cpus <= this.total.cpus) return undefined;
    return {
      act: "refuse",
      id,
      message: `vm \`${vm}\` asks for ${amount.cpus} CPUs; the pool has ${this.total.cpus}`,
      hint: "give the machine fewer CPUs, or the run more with --cpus",
    };
  }

  private refuseClaim({
    id,
    amount,
  }: {
    readonly id: number;
    readonly amount: ResourceAmount;
  }): Action | undefined {
    if (this.possible(amount)) return undefined;
    const [asked, has, flag] =
      amount.memory_bytes > this.reach
        ? [`${formatSize(amount.memory_bytes)} of memory`, formatSize(this.reach), "--mem"]
        : [`${amount.cpus} CPUs`, String(this.total.cpus), "--cpus"];
    return {
      act: "refuse",
      id,
      message: `claim: the file asks for ${asked}; the pool has ${has}`,
      hint: `claim less, or give the run more with ${flag}`,
    };
  }

  private possible(claim: ResourceAmount): boolean {
    return claim.memory_bytes <= this.reach && claim.cpus <= this.total.cpus;
  }

  private recharge(file: Running): void {
    const charge = chargeOf(file.claim, held(file));
    this.charged = plus(this.charged, minus(charge, file.charge));
    file.charge = charge;
  }

  /** What a file will be charged once this wish is granted. */
  private chargeWith({ kind, file, amount }: Wish): ResourceAmount {
    return kind === "claim" ? chargeOf(amount, held(file)) : chargeOf(file.claim, plus(held(file), amount));
  }

  private grant(wish: Wish): Action {
    const { file, id, amount } = wish;
    this.wishes = this.wishes.filter((other) => other !== wish);
    if (wish.kind === "claim") file.claim = amount;
    else {
      file.draws.set(id, amount);
      this.owners.set(id, file);
    }
    this.recharge(file);
    return { act: "grant", id };
  }

  /** What the file reserves from its start. A claim that can never be is refused where the file makes it. */
  private reservationOf({ claim }: Queued): ResourceAmount {
    return plus(FILE_OVERHEAD, this.possible(claim) ? claim : NOTHING);
  }

  private dispatch(index: number, reservation: ResourceAmount): Action {
    const [{ path }] = this.queue.splice(index, 1) as [Queued];
    this.run(path, reservation);
    this.idle--;
    return { act: "dispatch", path, reservation };
  }

  private run(path: string, reservation: ResourceAmount): void {
    const claim = minus(reservation, FILE_OVERHEAD);
    this.running.set(path, { path, claim, draws: new Map(), charge: reservation, waits: new Set() });
    this.charged = plus(this.charged, reservation);
  }

  /** Everything that can go ahead now. */
  private serve(): Action[] {
    const actions: Action[] = [];
    const line = new Line(this.patience);
    for (const wish of [...this.wishes]) {
      if (line.still) break;
      const extra = minus(this.chargeWith(wish), wish.file.charge);
      if (within(extra, this.available)) {
        actions.push(this.grant(wish));
        line.overtake();
      } else line.wait(wish);
    }
    this.serveQueue(actions, line);
    for (let action = this.breakDeadlock(actions); action !== undefined; action = this.breakDeadlock(actions))
      actions.push(action);
    return actions;
  }

  private serveQueue(actions: Action[], line: Line): void {
    for (let i = 0; i < this.queue.length && this.idle > 0 && !line.still; ) {
      const entry = this.queue[i] as Queued;
      const reservation = this.reservationOf(entry);
      const alone = this.running.size === 0;
      const pressed = this.running.size >= this.allowed;
      if (alone || (!pressed && within(reservation, this.available))) {
        actions.push(this.dispatch(i, reservation));
        line.overtake();
        continue;
      }
      const reason: BlockReason = pressed ? "psi_pressure" : "pool_full";
      if (!entry.told.has(reason)) {
        entry.told.add(reason);
        actions.push({ act: "blocked", path: entry.path, waitingFor: reservation, reason });
      }
      if (pressed) return;
      line.wait(entry);
      i++;
    }
  }

  /** The next wish of the oldest file that has one, once every file waits. */
  private breakDeadlock(actions: Action[]): Action | undefined {
    const waiting = new Set(this.wishes.map((wish) => wish.file));
    const files = [...this.running.values()];
    const oldest = files.find((file) => waiting.has(file));
    if (oldest === undefined || !files.every((file) => waiting.has(file) || file.waits.size > 0))
      return undefined;
    const wish = this.wishes.find(({ file }) => file === oldest) as Wish;
    const action = this.grant(wish);
    if (!within(this.charged, this.total))
      actions.push({
        act: "overdrawn",
        path: wish.file.path,
        excess: most(NOTHING, minus(this.charged, this.total)),
      });
    return action;
  }
}

/**
 * What a test holds of a guest: processes, files, streams, workers. Each is registered with the scope that made it
 * and ends with it at the latest; when its VM boots anew it is gone.
 */

import { ApiError } from "../errors/errors.ts";
import type { Registry, Resource, ResourceKind } from "../lab/registry.ts";
import type { Vm } from "../lab/vm.ts";
import type { Op } from "../sys/op.ts";
import type { GuestHandle } from "./handles.ts";

const everyHeld = new WeakMap<Vm, Set<Held>>();

/** The open ones of a VM that runs, those of its workers included. */
export const heldOf = (vm: Vm, kind: ResourceKind): readonly Held[] =>
  [...(everyHeld.get(vm) ?? [])].filter(
    (held) => held.kind === kind && !held.lost && (vm.state === "booted" || vm.state === "paused"),
  );

/** The registry of the scope that runs now. To be asked before a call waits: a task may outlive a test. */
export const registryOf = (guest: GuestHandle): Registry => guest.api.scopes.scopeOf(guest.lifetime).registry;

export abstract class Held implements Resource {
  private readonly life: number;
  private open = true;

  protected constructor(
    readonly guest: GuestHandle,
    readonly kind: ResourceKind,
    protected readonly registry: Registry,
  ) {
    this.life = guest.vm.life;
    registry.add(this);
    const all = everyHeld.get(guest.vm) ?? new Set();
    everyHeld.set(guest.vm, all.add(this));
  }

  /** For messages: "file `/etc/passwd` of vm `a`". */
  abstract get label(): string;

  /** Frees what it holds in the guest. Called once at most, only while the guest can be reached. */
  protected abstract release(): Op<void>;

  get closed(): boolean {
    return !this.open;
  }

  /** It is no part of the VM's present: a boot, a reset or a restore came between. */
  get lost(): boolean {
    return !this.guest.vm.lives(this.life);
  }

  /** Throws when it is no part of the VM's present, and says why. */
  checkLife(call: string): void {
    const { vm } = this.guest;
    if (this.lost) throw new ApiError(`${call}: ${this.label} ${vm.whyLost(this.life)}`);
  }

  /** It is over without a release: the guest has freed it. */
  forget(): void {
    this.open = false;
    this.registry.remove(this);
    everyHeld.get(this.guest.vm)?.delete(this);
  }

  /** Ends it, by the test or by its scope. Repeatable. */
  *close(): Op<void> {
    if (!this.open) return;
    this.forget();
    if (!this.lost) yield* this.guest.vm.bring(() => this.release());
  }
}

/**
 * What Lua holds of a VM or a worker: whom calls go to, together with the flavour of the call that made the handle.
 * The flavour decides what `syscall` and `ioctl` return, how bare memory sizes and relative paths are read, and
 * how long what the handle opens lives. Two handles of one VM are equal, and so are two of one worker.
 */

import { ApiError } from "../errors/errors.ts";
import type { Actor } from "../lab/ports.ts";
import type { Flavour } from "../lab/quantities.ts";
import type { Vm } from "../lab/vm.ts";
import type { Method } from "../lua/native.ts";
import { method } from "../lua/native.ts";
import { called, type Op } from "../sys/op.ts";
import type { Api } from "./context.ts";

/** Calls into each VM that are under way. */
const underWay = new WeakMap<Vm, number>();

/** How many calls into the guest of this VM are under way. */
export const callsUnderWay = (vm: Vm): number => underWay.get(vm) ?? 0;

/** One task of a guest as Lua sees it: every call that acts in the guest works on it. */
export abstract class GuestHandle {
  protected constructor(
    readonly api: Api,
    readonly vm: Vm,
    readonly flavour: Flavour,
  ) {}

  /** For messages: "vm `a`", "worker 2 of vm `a`". */
  abstract get label(): string;

  /** Whether its task can be called, as far as the host knows. */
  abstract get alive(): boolean;

  /** Whose rule says how long what it opens lives. */
  abstract get lifetime(): Flavour;

  /** Stands for the descriptor table that its task uses. */
  abstract get files(): object;

  /** Who can close a descriptor of that table now, if somebody can. */
  abstract get closer(): GuestHandle | undefined;

  /** Whether a descriptor means the same to both. */
  sharesFilesWith(other: GuestHandle): boolean {
    return this.files === other.files;
  }

  /** The task that the calls go to. Throws when it is gone. */
  protected abstract actor(operation: string, main: Actor): Actor;

  /** Runs an operation of this task. */
  *call<T>(operation: string, op: (actor: Actor) => Op<T>): Op<T> {
    const { vm } = this;
    underWay.set(vm, callsUnderWay(vm) + 1);
    try {
      return yield* vm.call(operation, (guest) =>
        called(op(this.actor(operation, guest.main)), operation, this.label),
      );
    } finally {
      underWay.set(vm, callsUnderWay(vm) - 1);
    }
  }
}

export class VmHandle extends GuestHandle {
  private static readonly known = new WeakMap<Vm, Map<Flavour, VmHandle>>();

  /** The one handle of this VM and flavour. */
  static of(api: Api, vm: Vm, flavour: Flavour): VmHandle {
    let handles = VmHandle.known.get(vm);
    if (handles === undefined) {
      handles = new Map();
      VmHandle.known.set(vm, handles);
    }
    let handle = handles.get(flavour);
    if (handle === undefined) {
      handle = new VmHandle(api, vm, flavour);
      handles.set(flavour, handle);
    }
    return handle;
  }

  as(flavour: Flavour): VmHandle {
    return VmHandle.of(this.api, this.vm, flavour);
  }

  get label(): string {
    return this.vm.label;
  }

  get alive(): boolean {
    return true;
  }

  get lifetime(): Flavour {
    return this.flavour;
  }

  get files(): object {
    return this.vm;
  }

  get closer(): GuestHandle {
    return this;
  }

  protected actor(_operation: string, main: Actor): Actor {
    return main;
  }
}

/** Methods that VMs and workers have. */
export type GuestMethods = Readonly<Record<string, Method<GuestHandle>>>;
export const guestMethod = method<GuestHandle>;

/** Methods of VMs alone. */
export type VmMethods = Readonly<Record<string, Method<VmHandle>>>;
export const vmMethod = method<VmHandle>;

/** Bytes of a path in the guest. Throws for what no path can be. */
export const guestPath = (path: Uint8Array, call: string): Uint8Array => {
  if (path.byteLength === 0) throw new ApiError(`${call}: the path is empty`);
  if (path.includes(0)) throw new ApiError(`${call}: the path contains a NUL byte`);
  return path;
};

/**
 * What Lua holds of a VM: the VM together with the flavour of the call that made the handle. The flavour decides
 * what `syscall` and `ioctl` return, how bare memory sizes and relative paths are read, and how long what the
 * handle opens lives. Two handles of one VM are equal.
 */

import { ApiError } from "../errors/errors.ts";
import type { Actor } from "../lab/ports.ts";
import type { Flavour } from "../lab/quantities.ts";
import type { Vm } from "../lab/vm.ts";
import type { Method } from "../lua/native.ts";
import { method } from "../lua/native.ts";
import type { Op } from "../sys/op.ts";
import type { Api } from "./context.ts";

export class VmHandle {
  private static readonly known = new WeakMap<Vm, Map<Flavour, VmHandle>>();

  private constructor(
    readonly api: Api,
    readonly vm: Vm,
    readonly flavour: Flavour,
  ) {}

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

  /** Runs an operation of the guest's main task. */
  call<T>(operation: string, op: (actor: Actor) => Op<T>): Op<T> {
    return this.vm.call(operation, (guest) => op(guest.main));
  }
}

export type VmMethods = Readonly<Record<string, Method<VmHandle>>>;
export const vmMethod = method<VmHandle>;

/** Bytes of a path in the guest. Throws for what no path can be. */
export const guestPath = (path: Uint8Array, call: string): Uint8Array => {
  if (path.byteLength === 0) throw new ApiError(`${call}: the path is empty`);
  if (path.includes(0)) throw new ApiError(`${call}: the path contains a NUL byte`);
  return path;
};

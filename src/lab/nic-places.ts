/**
 * The places of a running machine in which network interfaces sit. One stays taken until the guest has let go of what
 * sits there, which may be long after the interface has left its bridge.
 */

import { InterruptedError } from "../errors/errors.ts";
import type { Op } from "../sys/op.ts";
import type { Machine, NicSpec } from "./ports.ts";

export class NicPlaces {
  /** Slots by the interfaces' ids. */
  private readonly taken = new Map<string, number>();

  get slots(): readonly number[] {
    return [...this.taken.values()];
  }

  /** A machine runs with these, or none runs any more. */
  hold(nics: readonly NicSpec[]): void {
    this.taken.clear();
    for (const { id, slot } of nics) this.taken.set(id, slot);
  }

  *plug(machine: Machine, nic: NicSpec): Op<void> {
    this.taken.set(nic.id, nic.slot);
    try {
      yield* machine.plugNic(nic);
    } catch (error) {
      // Of an order that was interrupted nobody knows whether QEMU has followed it.
      if (!(error instanceof InterruptedError)) this.taken.delete(nic.id);
      throw error;
    }
  }

  *unplug(machine: Machine, id: string): Op<void> {
    if (yield* machine.unplugNic(id)) this.taken.delete(id);
  }
}

/** Devices on their way out of a running machine: what its guest has said about letting go of them. */

import { after, type Op, until } from "../sys/op.ts";
import type { QmpEvent } from "./qmp.ts";

export class Departures {
  private readonly gone = new Set<string>();
  private readonly kept = new Set<string>();

  heard({ name, data }: QmpEvent): void {
    if (typeof data.device !== "string") return;
    if (name === "DEVICE_DELETED") this.gone.add(data.device);
    else if (name === "DEVICE_UNPLUG_GUEST_ERROR") this.kept.add(data.device);
  }

  /** A device of that name is plugged in, perhaps again. */
  plugged(device: string): void {
    this.gone.delete(device);
  }

  /**
   * Sends the order to take a device out and waits up to `ms` for the guest's answer; undefined: there was none, or
   * the machine is `over`. One that it let go of too late for who asked before is gone already, and QEMU refuses the
   * order.
   */
  *ask(device: string, order: Op<void>, over: () => boolean, ms: number): Op<"gone" | "kept" | undefined> {
    const { gone, kept } = this;
    kept.delete(device);
    try {
      yield* order;
    } catch (error) {
      if (!gone.has(device)) throw error;
    }
    yield* until(() => gone.has(device) || kept.has(device) || over(), after(ms));
    if (gone.has(device)) return "gone";
    return kept.has(device) ? "kept" : undefined;
  }
}

/** What a VM says about itself in the event stream. */

import type { Emit } from "../events/types.ts";
import { monotonic } from "../sys/op.ts";
import type { Machine } from "./ports.ts";
import type { VmState } from "./states.ts";

const ns = (ms: number): number => Math.round(ms * 1e6);

export class VmStory {
  constructor(
    private readonly emit: Emit,
    private readonly file: string,
    private readonly vm: string,
  ) {}

  spawned(profile: string, memoryBytes: number, machine: Machine, startMs: number): void {
    this.emit("vm_spawned", {
      ...this.base,
      profile,
      memory_bytes: memoryBytes,
      cid: machine.cid ?? 0,
      transport: machine.transport,
      boot_ns: ns(startMs),
    });
  }

  entered(state: VmState, reason: string | undefined): void {
    const base = { ...this.base, state };
    this.emit("vm_state", reason === undefined ? base : { ...base, reason });
  }

  /** The machine that was started then is no more. */
  ended(started: number): void {
    this.emit("vm_shutdown", { ...this.base, duration_ns: ns(monotonic() - started) });
  }

  saved(durationMs: number, bytes: number): void {
    this.emit("snapshot_taken", { ...this.base, duration_ns: ns(durationMs), bytes });
  }

  restored(durationMs: number): void {
    this.emit("snapshot_restored", { ...this.base, duration_ns: ns(durationMs) });
  }

  private get base(): { readonly file: string; readonly vm_name: string } {
    return { file: this.file, vm_name: this.vm };
  }
}

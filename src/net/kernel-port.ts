/** Ports of the kernel's bridge: devices in the test's network namespace that are gone with their port. */

import { closeFd, dupFd } from "../sys/libc.ts";
import type { Op } from "../sys/op.ts";
import type { Counters, Port } from "./backend.ts";
import type { Device } from "./kernel-plan.ts";
import type { Namespace } from "./namespace.ts";

export class DevicePort {
  private open = true;

  constructor(
    readonly id: number,
    readonly device: Device,
    private readonly namespace: Namespace,
    private readonly left: (port: DevicePort) => void,
  ) {}

  *counters(): Op<Counters> {
    const text = yield* this.namespace.run([
      "ip",
      "-json",
      "-stats",
      "link",
      "show",
      "dev",
      this.device.name,
    ]);
    const [{ stats64 }] = JSON.parse(text) as [{ stats64: Record<"rx" | "tx", Record<string, number>> }];
    const { rx, tx } = stats64;
    const number = (from: Record<string, number>, key: string): number => from[key] ?? 0;
    return {
      rxBytes: number(tx, "bytes"),
      txBytes: number(rx, "bytes"),
      rxPackets: number(tx, "packets"),
      txPackets: number(rx, "packets"),
      errors: number(rx, "errors") + number(tx, "errors"),
    };
  }

  *close(): Op<void> {
    if (!this.open) return;
    this.left(this);
    this.abandon();
    // Whoever is behind it may hold the device open a little longer, without a way to anybody.
    if (this.namespace.death === undefined)
      yield* this.namespace.run(["sh", "-c", 'ip link del "$0" 2>/dev/null || true', this.device.name]);
  }

  /** Lets go without a word: the namespace is gone. Idempotent. */
  abandon(): void {
    if (this.open) this.release();
    this.open = false;
  }

  protected release(): void {}
}

/** Behind it is whoever has a copy of its descriptor. */
export class TapPort extends DevicePort implements Port {
  readonly wire: { readonly kind: "tap"; readonly fd: number };

  /** `own` keeps the device there while nobody else has it open. */
  constructor(
    id: number,
    device: Device,
    namespace: Namespace,
    left: (port: DevicePort) => void,
    private readonly own: number,
  ) {
    super(id, device, namespace, left);
    this.wire = { kind: "tap", fd: dupFd(own) };
  }

  protected override release(): void {
    closeFd(this.own);
  }
}

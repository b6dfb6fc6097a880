/**
 * Network interfaces of a machine: virtio-net in the places for what is plugged in or out (plug.ts), its
 * frames on a descriptor of ours. Pure; `machine.ts` sends it over the monitor, `arguments.ts` puts it into a launch.
 */

import type { NicSpec } from "../lab/ports.ts";
import type { Wire } from "../net/backend.ts";
import type { Plug } from "./plug.ts";
import type { JsonObject } from "./qmp.ts";

/** QEMU's id of the device; also what QMP events name. */
export const nicDevice = (id: string): string => `nic-${id}`;
/** QEMU's id of the way behind it, and of the descriptor that is handed over for it. */
export const nicWire = (id: string): string => `wire-${id}`;

/**
 * The way behind the device. `descriptor`: a number that QEMU has inherited, or a name given with `getfd`. Not the
 * newer `stream`, which speaks the same: QEMU 7.2 connects it in a thread, where a name of the monitor means nothing.
 */
export const netdev = (id: string, kind: Wire["kind"], descriptor: string): JsonObject =>
  kind === "tap"
    ? { type: "tap", id: nicWire(id), fd: descriptor, vhost: false }
    : { type: "socket", id: nicWire(id), fd: descriptor };

/** The device itself. Without option ROM: nobody boots from it. `host_mtu` tells the guest what fits. */
export const nic = (spec: Pick<NicSpec, "id" | "mac" | "mtu" | "slot">, plug: Plug): JsonObject => ({
  driver: "virtio-net-pci",
  id: nicDevice(spec.id),
  netdev: nicWire(spec.id),
  mac: spec.mac,
  host_mtu: spec.mtu,
  ...plug.place(spec.slot),
  romfile: "",
  "disable-legacy": "on",
});

/** What this host offers a run: memory, CPUs, acceleration, the channel to guests. */

import { closeSync, openSync } from "node:fs";
import { availableParallelism, totalmem } from "node:os";
import { HostError } from "../errors/errors.ts";
import type { ResourceAmount } from "../events/types.ts";
import { type AccelerationHost, type Accelerator, chooseAcceleration } from "../vmm/accel.ts";
import { memoryLimit } from "./cgroup.ts";

/** Part of the memory that machines may take when nobody says otherwise. */
const MEMORY_SHARE = 0.8;

/** Bytes of memory of this host, or of the group of processes that we are in when it may have less. */
export const hostMemory = (): number => Math.min(totalmem(), memoryLimit());

/** Bytes that one runner may occupy: enough for large files in a test's hands, and never most of the host. */
export const runnerMemory = (): number => Math.min(4 * 2 ** 30, Math.floor(hostMemory() / 2));

/** CPUs that this process may run on. */
export const hostCpus = (): number => availableParallelism();

/** The pool of a run: what was asked for, else 80 % of the memory and every CPU, these `overcommit` times. */
export const poolSize = (
  memoryBytes: number | undefined,
  cpus: number | undefined,
  overcommit: number,
): ResourceAmount => ({
  memory_bytes: memoryBytes ?? Math.floor(hostMemory() * MEMORY_SHARE),
  cpus: Math.max(1, Math.floor((cpus ?? hostCpus()) * overcommit)),
});

/** Files at a time: as many as there are CPUs, but two at least, since a file spends much of its time waiting. */
export const defaultJobs = (): number => Math.max(2, hostCpus());

export type TransportWish = "auto" | "vsock" | "serial";

/** Why the vsock device cannot be used; undefined when it can. */
const vsockFault = (device: string): string | undefined => {
  try {
    closeSync(openSync(device, "r+"));
    return undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === "ENOENT" ? `there is no ${device}` : `${device} cannot be opened (${code})`;
  }
};

/** Settles `--transport`. `vsock` on a host without it is a `HostError`. */
export const chooseTransport = (
  wish: TransportWish,
  device = "/dev/vhost-vsock",
): { readonly transport: "vsock" | "serial"; readonly reason: string | undefined } => {
  if (wish === "serial") return { transport: "serial", reason: undefined };
  const fault = vsockFault(device);
  if (fault === undefined) return { transport: "vsock", reason: undefined };
  if (wish === "vsock")
    throw new HostError(`vsock cannot be used: ${fault}`, {
      hint: "load the module with `modprobe vhost_vsock`, or use --transport auto or serial",
    });
  return { transport: "serial", reason: `${fault}: using the serial channel` };
};

export interface Machinery {
  readonly accel: Accelerator;
  readonly transport: "vsock" | "serial";
  /** One line each, to be said once. */
  readonly notices: readonly string[];
}

/** Settles once for the run how machines are accelerated and reached. Throws `HostError`. */
export const settleMachinery = (
  accel: "auto" | Accelerator,
  transport: TransportWish,
  host: AccelerationHost,
): Machinery => {
  const acceleration = chooseAcceleration(accel, host);
  const channel = chooseTransport(transport);
  const notices = [acceleration.reason, channel.reason].filter((reason) => reason !== undefined);
  return { accel: acceleration.accel, transport: channel.transport, notices };
};

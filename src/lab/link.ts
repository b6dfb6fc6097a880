/** What the life of a VM needs to know of its network interfaces. */

import type { Op } from "../sys/op.ts";
import { isCount, isFlag, isTable, isText } from "./believable.ts";
import type { Guest, NicSpec } from "./ports.ts";

/** An interface as a snapshot of its VM keeps it. */
export interface SavedNic {
  readonly bridge: string;
  /** The bridge's network, "10.1.2.0/24": the guest goes on with its addresses. */
  readonly subnet: string;
  readonly mac: string;
  /** Number of its address in the subnet; absent where nobody gives addresses. */
  readonly host?: number | undefined;
  readonly slot: number;
  readonly connected: boolean;
}

/** Whether it has the shape that `VmLink.saved` gives. */
export const isSavedNic = (value: unknown): value is SavedNic =>
  isTable(value) &&
  [value.bridge, value.subnet, value.mac].every(isText) &&
  (value.host === undefined || isCount(value.host)) &&
  isCount(value.slot) &&
  isFlag(value.connected);

/** A network interface of a VM, as far as its life is concerned. */
export interface VmLink {
  /** Before a launch: what the machine is to get. */
  prepare(): Op<NicSpec>;
  /** The launch is over, well or not: what was lent to it may be closed. */
  handedOver(): void;
  /** The agent is there: after a boot or a reset. */
  ready(guest: Guest): Op<void>;
  /** How a snapshot names it. */
  saved(): SavedNic;
}

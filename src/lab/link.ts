/** What the life of a VM needs to know of its network interfaces. */

import type { Op } from "../sys/op.ts";
import type { Guest, NicSpec } from "./ports.ts";

/** A network interface of a VM, as far as its life is concerned. */
export interface VmLink {
  /** Before a launch: what the machine is to get. */
  prepare(): Op<NicSpec>;
  /** The launch is over, well or not: what was lent to it may be closed. */
  handedOver(): void;
  /** The agent is there: after a boot or a reset. */
  ready(guest: Guest): Op<void>;
}

/**
 * The channel to an agent that is a process of this host: one end of a Unix socket pair.
 */

import type { Reactor } from "../sys/reactor.ts";
import type { Channel } from "./channel.ts";
import { StreamChannel } from "./stream.ts";

/** Takes over our end of the pair. */
export const openLocal = (reactor: Reactor, fd: number): Channel =>
  new StreamChannel(reactor, fd, { transport: "local" });

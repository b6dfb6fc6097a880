/**
 * The channel over a virtio-serial port: our end of the socket pair that QEMU's chardev uses.
 *
 * A port is a pipe without connections. What the host sends before the guest has opened it waits in the socket;
 * what an earlier session left in flight arrives first. So a session begins with a resync (see channel.ts).
 */

import type { Reactor } from "../sys/reactor.ts";
import type { Channel } from "./channel.ts";
import { StreamChannel } from "./stream.ts";

/** Takes over the host's end of the port. */
export const openSerial = (reactor: Reactor, fd: number): Channel =>
  new StreamChannel(reactor, fd, { transport: "serial", connectionless: true });

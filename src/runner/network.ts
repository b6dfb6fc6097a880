/** What bridges of a test file need from below, put together. */

import type { NetworkHost } from "../lab/network-host.ts";
import { openBackend } from "../net/choose.ts";
import { openDhcp } from "../net/responder.ts";
import { openUplink } from "../net/uplink.ts";
import type { Reactor } from "../sys/reactor.ts";
import { findQemu } from "../vmm/program.ts";
import type { Job } from "./protocol.ts";

export const networkOf = (
  job: Pick<Job, "network" | "assets" | "directory">,
  reactor: Reactor,
): Pick<NetworkHost, "openBackend" | "openUplink" | "openDhcp"> => {
  const host = { reactor, env: process.env, helper: job.assets.helper, directory: job.directory };
  return {
    openBackend: () => openBackend(job.network, host),
    openUplink: (bridge, subnet, way) =>
      openUplink(bridge, subnet, way, { ...host, qemu: () => findQemu(process.env) }),
    openDhcp: (bridge, book) => openDhcp(bridge, book, reactor),
  };
};

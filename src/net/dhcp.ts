import { HostError } from "../errors/errors.ts";
import type { LeaseBook, Service } from "../lab/network-host.ts";
import type { Op } from "../sys/op.ts";
import type { Reactor } from "../sys/reactor.ts";
import type { BackendBridge } from "./backend.ts";

// biome-ignore lint/correctness/useYield: stand-in
export const openDhcp = function* (_bridge: BackendBridge, _book: LeaseBook, _reactor: Reactor): Op<Service> {
  throw new HostError("no dhcp yet");
};

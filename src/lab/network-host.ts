/** What the model of networks needs from below, as interfaces. `net/` implements them; `runner/` wires them together. */

import type { Emit } from "../events/types.ts";
import type { Backend, BackendBridge } from "../net/backend.ts";
import type { Op } from "../sys/op.ts";
import type { Subnet } from "./subnet.ts";

/** Something of ours on a bridge, with a port of its own. */
export interface Service {
  readonly port: number;
  close(): Op<void>;
  /** Ends it at once, when what carries frames is gone too. Idempotent. */
  abandon(): void;
}

/** How packets leave the test's network: through the host's kernel, or through QEMU's user networking. */
export type UplinkWay = "masquerade" | "user";

export interface Uplink extends Service {
  readonly way: UplinkWay;
}

/** Who asks for an address by DHCP, and what it gets. */
export interface Lease {
  readonly mac: string;
  readonly name: string;
  readonly address: string;
}

/** What the responder says of a bridge, as it is at the moment of asking. */
export interface LeaseBook {
  readonly bridge: string;
  readonly subnet: Subnet;
  readonly mtu: number;
  /** "10.89.1.0/24 10.89.0.1" and the default route; options 3 and 121 of RFC 2132 and RFC 3442. */
  routes(): readonly string[];
  leases(): readonly Lease[];
}

/** What an event says of a bridge. */
export type BridgeChange =
  | "attached"
  | "detached"
  | "impaired"
  | "partitioned"
  | "healed"
  | "routed"
  | "unrouted"
  | "uplink";

/** What the model needs from below. */
export interface NetworkHost {
  openBackend(): Op<Backend>;
  /** By the `way` that is asked for; without one by the best that this host has. */
  openUplink(bridge: BackendBridge, subnet: Subnet, way: UplinkWay | undefined): Op<Uplink>;
  openDhcp(bridge: BackendBridge, book: LeaseBook): Op<Service>;
  readonly emit: Emit;
  /** The test file as events name it. */
  readonly file: string;
}

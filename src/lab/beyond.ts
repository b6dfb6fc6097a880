/** What lies beyond a bridge: the bridges that it routes to, and a way out of the test's network. */

import { ApiError } from "../errors/errors.ts";
import type { Backend, BackendBridge } from "../net/backend.ts";
import type { Op } from "../sys/op.ts";
import { Turn } from "../sys/turn.ts";
import type { BridgeOptions } from "./bridge-options.ts";
import type { BridgeChange, Uplink, UplinkWay } from "./network-host.ts";
import { addressOf, type Subnet, UPLINK_HOST } from "./subnet.ts";

/** The bridge, as what lies beyond it sees it. */
export interface Shore extends Pick<BridgeOptions, "addressing"> {
  readonly name: string;
  readonly label: string;
  readonly subnet: Subnet;
  /** Its networks and its own addresses there. */
  readonly network4: string;
  readonly network6: string;
  readonly gateway: string;
  readonly gateway6: string;
  readonly beyond: Beyond;
  readonly network: {
    open(): Op<Backend>;
    openUplink(subnet: Subnet, carrier: BackendBridge, way: UplinkWay | undefined): Op<Uplink>;
  };
  /** Throws ApiError naming the call when it is closed. */
  alive(call: string): void;
  open(): Op<BackendBridge>;
  /** Puts in force again what is wrong on the bridge: there is another port. */
  apply(): Op<void>;
  /** Sets the interfaces of running members up anew, without the routes that are to go. */
  renewRoutes(dropRoutes: readonly string[]): Op<void>;
  changed(change: BridgeChange, text: string): void;
}

/** What guests on a bridge need beside their own networks: "10.89.1.0/24 10.89.0.1". */
export interface GuestRoutes {
  readonly ipv4: readonly string[];
  readonly ipv6: readonly string[];
}

/** All of it, to be gone back to. */
export interface SavedBeyond {
  readonly partners: readonly Shore[];
  readonly uplink: UplinkWay | undefined;
}

export class Beyond {
  private readonly partners = new Set<Shore>();
  private uplink: Uplink | undefined;
  /** To open a way out. */
  private readonly opening = new Turn();

  constructor(private readonly shore: Shore) {}

  /** How packets get out; undefined where they do not. */
  get way(): UplinkWay | undefined {
    return this.uplink?.way;
  }

  /** The port of the way out. */
  get port(): number | undefined {
    return this.uplink?.port;
  }

  /** Names of the bridges that it routes to. */
  routes(): string[] {
    return [...this.partners].map(({ name }) => name);
  }

  guestRoutes(): GuestRoutes {
    const routes = [...this.partners].map((other) => this.routesTo(other));
    const ipv4 = routes.map(([first]) => first);
    return {
      ipv4: this.uplink === undefined ? ipv4 : [...ipv4, this.defaultRoute],
      ipv6: routes.map(([, second]) => second),
    };
  }

  /** Lets IP packets pass between this bridge and others. */
  *route(others: readonly Shore[]): Op<void> {
    const { shore } = this;
    shore.alive("route");
    for (const other of others) {
      other.alive("route");
      if (other === shore) throw new ApiError(`bridge:route: ${shore.label} cannot be routed to itself`);
      const bare = [shore, other].find(({ addressing }) => addressing === "none");
      if (bare !== undefined)
        throw new ApiError(
          `bridge:route: ${bare.label} has addressing = "none": nothing can be routed there`,
        );
    }
    for (const other of others) {
      if (this.partners.has(other)) continue;
      yield* this.connect(other, true);
      this.partners.add(other);
      other.beyond.partners.add(shore);
      yield* shore.renewRoutes([]);
      yield* other.renewRoutes([]);
      shore.changed("routed", other.name);
    }
  }

  /** Ends routes. One that is not there is none that has to be ended. */
  *unroute(others: readonly Shore[]): Op<void> {
    const { shore } = this;
    for (const other of others) {
      if (!this.partners.has(other)) continue;
      this.forget(other);
      yield* this.connect(other, false);
      yield* shore.renewRoutes(this.routesTo(other));
      yield* other.renewRoutes(other.beyond.routesTo(shore));
      shore.changed("unrouted", other.name);
    }
  }

  /** A way out of the test's network, through the host's; by the best that there is where none is named. */
  *enableUplink(way?: UplinkWay): Op<void> {
    yield* this.opening.free();
    const { shore, way: before } = this;
    shore.alive("enable_uplink");
    if (before !== undefined) {
      if (way === undefined || way === before) return;
      throw new ApiError(`bridge:enable_uplink: ${shore.label} has an uplink already, by "${before}"`, {
        hint: "Call bridge:disable_uplink first.",
      });
    }
    if (shore.addressing === "none")
      throw new ApiError(`bridge:enable_uplink: ${shore.label} has addressing = "none"`, {
        hint: "An uplink needs addresses: leave `addressing` out, or set dhcp = true.",
      });
    const uplink = yield* this.opening.take(function* () {
      const carrier = yield* shore.open();
      return yield* shore.network.openUplink(shore.subnet, carrier, way);
    });
    this.uplink = uplink;
    shore.changed("uplink", `enabled (${uplink.way})`);
    yield* shore.apply();
    yield* shore.renewRoutes([]);
  }

  *disableUplink(): Op<void> {
    yield* this.opening.free();
    const uplink = this.uplink;
    if (uplink === undefined) return;
    this.uplink = undefined;
    this.shore.changed("uplink", "disabled");
    yield* uplink.close();
    yield* this.shore.renewRoutes([this.defaultRoute]);
  }

  state(): SavedBeyond {
    return { partners: [...this.partners], uplink: this.way };
  }

  /** Goes back to what was; of bridges that are gone since it says nothing. */
  *restore({ partners, uplink }: SavedBeyond, there: (shore: Shore) => boolean): Op<void> {
    yield* this.unroute([...this.partners].filter((other) => !partners.includes(other)));
    yield* this.route(partners.filter(there));
    if (uplink !== this.way) yield* this.disableUplink();
    if (uplink !== undefined) yield* this.enableUplink(uplink);
  }

  /** The bridge ends, and its partners go on. Repeatable. */
  *close(): Op<void> {
    yield* this.opening.free();
    for (const partner of this.partners) this.forget(partner);
    const uplink = this.uplink;
    this.uplink = undefined;
    if (uplink !== undefined) yield* uplink.close();
  }

  private get defaultRoute(): string {
    return `0.0.0.0/0 ${addressOf(this.shore.subnet, UPLINK_HOST)}`;
  }

  private routesTo(other: Shore): readonly [ipv4: string, ipv6: string] {
    const { gateway, gateway6 } = this.shore;
    return [`${other.network4} ${gateway}`, `${other.network6} ${gateway6}`];
  }

  private forget(other: Shore): void {
    this.partners.delete(other);
    other.beyond.partners.delete(this.shore);
  }

  private *connect(other: Shore, routed: boolean): Op<void> {
    const here = yield* this.shore.open();
    const there = yield* other.open();
    const carrier = yield* this.shore.network.open();
    yield* carrier.route(here, there, routed);
  }
}

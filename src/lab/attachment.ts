/** One VM on one bridge: its network interface, from the wire to the name it has in the guest. */

import { GuestError } from "../errors/errors.ts";
import type { BackendBridge, Counters, Port } from "../net/backend.ts";
import { closeFd } from "../sys/libc.ts";
import type { Op } from "../sys/op.ts";
import type { GuestRoutes } from "./beyond.ts";
import type { BridgeOptions } from "./bridge-options.ts";
import type { SavedNic, VmLink } from "./link.ts";
import type { Guest, NicSpec } from "./ports.ts";
import { address6Of, addressOf, networkOf, type Subnet } from "./subnet.ts";
import type { Vm } from "./vm.ts";

/** How long an interface may take to appear in the guest, before the factor for software emulation. */
const APPEARANCE_MS = 20_000;

/** The bridge as an attachment sees it. */
export interface Segment extends Pick<BridgeOptions, "mtu" | "addressing"> {
  readonly name: string;
  readonly subnet: Subnet;
  readonly network: { readonly alive: boolean; hostsOf(vm: Vm): string };
  open(): Op<BackendBridge>;
  apply(): Op<void>;
  guestRoutes(): GuestRoutes;
}

/** Of an interface that has no port. */
export const NOTHING: Counters = { rxBytes: 0, txBytes: 0, rxPackets: 0, txPackets: 0, errors: 0 };

export class Attachment implements VmLink {
  /** Its name in the guest, once it has been set up there. */
  interfaceName: string | undefined;
  private port: Port | undefined;
  /** QEMU has not got its own copy of the wire yet. */
  private wireOpen = false;

  constructor(
    readonly bridge: Segment,
    readonly vm: Vm,
    /** Of the device in QEMU. */
    readonly id: string,
    readonly mac: string,
    /** Number of its address in the bridge's subnet; undefined where nobody gives addresses. */
    readonly host: number | undefined,
    /** Its place in the machine. */
    readonly slot: number,
    /** The cable is in. */
    private carrier = true,
  ) {}

  /** The number of its port, while it has one. */
  get portId(): number | undefined {
    return this.port?.id;
  }

  /** The cable is in. */
  get connected(): boolean {
    return this.carrier;
  }

  get ip(): string | undefined {
    return this.host === undefined ? undefined : addressOf(this.bridge.subnet, this.host);
  }

  get ip6(): string | undefined {
    return this.host === undefined ? undefined : address6Of(this.bridge.subnet, this.host);
  }

  /** Opens its port; the plan is in force before the first frame. */
  *prepare(): Op<NicSpec> {
    yield* this.release();
    const carrier = yield* this.bridge.open();
    const port = yield* carrier.openPort(this.vm.name, this.mac);
    this.port = port;
    this.wireOpen = true;
    try {
      yield* this.bridge.apply();
    } catch (error) {
      this.handedOver();
      throw error;
    }
    return {
      id: this.id,
      mac: this.mac,
      mtu: this.bridge.mtu,
      slot: this.slot,
      up: this.carrier,
      wire: port.wire,
    };
  }

  saved(): SavedNic {
    const { mac, host, slot, carrier } = this;
    const { name, subnet } = this.bridge;
    return { bridge: name, subnet: networkOf(subnet), mac, host, slot, connected: carrier };
  }

  handedOver(): void {
    if (this.wireOpen && this.port !== undefined) closeFd(this.port.wire.fd);
    this.wireOpen = false;
  }

  *ready(guest: Guest): Op<void> {
    if (this.bridge.addressing !== "none") {
      const timeoutMs = this.vm.emulated ? 4 * APPEARANCE_MS : APPEARANCE_MS;
      yield* this.setup(guest, timeoutMs, []);
    }
    yield* guest.setHosts(this.bridge.network.hostsOf(this.vm));
  }

  /** Sets the interface up anew, without the routes that are to go. */
  *setup(guest: Guest, timeoutMs: number, dropRoutes: readonly string[]): Op<void> {
    const { subnet, mtu, addressing } = this.bridge;
    const fixed = addressing === "fixed";
    const routes = this.bridge.guestRoutes();
    try {
      this.interfaceName = yield* guest.setupInterface({
        mac: this.mac,
        mtu,
        // With a DHCP responder the address is for the guest's own client to fetch.
        addresses: fixed ? [`${this.ip}/${subnet.prefix}`, `${this.ip6}/64`] : [],
        routes: fixed ? [...routes.ipv4, ...routes.ipv6] : [],
        dropRoutes,
        timeoutMs,
      });
    } catch (error) {
      if (!(error instanceof GuestError) || error.errno !== ENODEV) throw error;
      throw new GuestError(
        `${this.vm.label}: its interface on bridge \`${this.bridge.name}\` did not appear in the guest within ${timeoutMs / 1000} s`,
        error.errno,
        {
          hint: "The guest's kernel needs the driver virtio_net; a profile can ship it (modules).",
          cause: error,
        },
      );
    }
  }

  /** Plugs it into the VM, which runs. */
  *plug(): Op<void> {
    const spec = yield* this.prepare();
    try {
      yield* this.vm.plug(spec);
    } finally {
      this.handedOver();
    }
    yield* this.vm.call("attach", (guest) => this.ready(guest));
  }

  /** Takes it out of the VM, if that runs, and closes its port. */
  *unplug(): Op<void> {
    try {
      if (this.port !== undefined) yield* this.vm.bring(() => this.vm.unplug(this.id));
    } finally {
      yield* this.release();
    }
  }

  /** Pulls or puts back the cable. */
  *connect(connected: boolean): Op<void> {
    if (this.carrier === connected) return;
    this.carrier = connected;
    yield* this.bridge.apply();
    if (this.port !== undefined && this.vm.running) yield* this.vm.setLink(this.id, connected);
  }

  /** Zeros while there is no port. */
  *counters(): Op<Counters> {
    return this.port === undefined ? NOTHING : yield* this.port.counters();
  }

  private *release(): Op<void> {
    const port = this.port;
    this.handedOver();
    this.port = undefined;
    this.interfaceName = undefined;
    if (port !== undefined && this.bridge.network.alive) yield* port.close();
  }
}

const ENODEV = 19;

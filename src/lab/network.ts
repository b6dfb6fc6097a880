/**
 * The network of one test file: its bridges, who has which address and name, and the one backend that carries
 * all frames, started when the first of them is needed.
 */

import { ApiError, InterruptedError, ProviumError } from "../errors/errors.ts";
import type { Backend, BackendBridge } from "../net/backend.ts";
import type { Op } from "../sys/op.ts";
import { Attachment } from "./attachment.ts";
import { Bridge, type BridgeNetwork } from "./bridge.ts";
import { type BridgeOptions, parseBridgeOptions } from "./bridge-options.ts";
import type { SavedNic } from "./link.ts";
import type { BridgeChange, LeaseBook, NetworkHost, Service, Uplink, UplinkWay } from "./network-host.ts";
import { Once } from "./once.ts";
import type { OptionTable } from "./options.ts";
import type { SavedBridge } from "./saved-bridge.ts";
import { defaultSubnet, networkOf, overlaps, parseSubnet, type Subnet, stableMac } from "./subnet.ts";
import type { Vm } from "./vm.ts";

export class Network implements BridgeNetwork {
  /** VMs whose scope is closing: they end by themselves and take their interfaces along. */
  readonly leaving = new Set<Vm>();
  private readonly backend: Once<Backend>;
  private readonly bridges = new Set<Bridge>();
  private readonly macs = new Set<string>();
  private readonly services: Service[] = [];
  private closed = false;
  private made = 0;
  private attachments = 0;

  constructor(private readonly host: NetworkHost) {
    this.backend = new Once(() => host.openBackend());
  }

  /** Frames flow, and nothing has ended what carries them. */
  get alive(): boolean {
    const backend = this.backend.made;
    return !this.closed && backend !== undefined && backend.death === undefined;
  }

  /** Which backend carries the frames, once one does. */
  get kind(): Backend["kind"] | undefined {
    return this.backend.made?.kind;
  }

  *open(): Op<Backend> {
    this.check();
    const backend = yield* this.backend.get();
    this.check();
    return backend;
  }

  /** Throws when what carried the frames is gone. */
  check(): void {
    if (this.closed) throw new ApiError("the network of this test file has ended");
    const death = this.backend.made?.death;
    if (death !== undefined) throw death;
  }

  createBridge(name: string, table: OptionTable | undefined): Bridge {
    const options = parseBridgeOptions(name, table);
    return this.add(new Bridge(name, this, this.subnetFor(name, options), options));
  }

  /** A bridge as it was saved. It may have the network of another one: it is the copy of one. */
  createSavedBridge({ name, options }: SavedBridge): Bridge {
    const { subnet, ...rest } = options;
    const own = { ...rest, subnet, seed: BigInt(options.seed) };
    return this.add(new Bridge(name, this, parseSubnet(subnet), own));
  }

  attachment(bridge: Bridge, vm: Vm, host: number | undefined, connected: boolean): Attachment {
    const mac = stableMac(bridge.name, vm.name, this.macs);
    this.macs.add(mac);
    return new Attachment(bridge, vm, `n${++this.attachments}`, mac, host, freeSlot(vm), connected);
  }

  /** The interface that a saved VM goes on with. */
  savedAttachment(bridge: Bridge, vm: Vm, { mac, host, slot, connected }: SavedNic): Attachment {
    this.macs.add(mac);
    return new Attachment(bridge, vm, `n${++this.attachments}`, mac, host, slot, connected);
  }

  /** Attaches a VM that does not run just as its snapshot says. Throws ApiError naming a bridge that is not here. */
  *relink(vm: Vm, nics: readonly SavedNic[]): Op<void> {
    for (const { bridge } of this.attachmentsOf(vm))
      if (!nics.some((nic) => nic.bridge === bridge.name)) yield* bridge.detach(vm.name);
    for (const nic of nics) yield* this.savedBridge(vm, nic).adopt(vm, nic);
  }

  /** What is wrong on every bridge and what lies beyond it; the function that puts it back where a bridge still is. */
  remember(): () => Op<void> {
    const states = [...this.bridges].map((bridge) => ({
      bridge,
      conditions: bridge.conditions.state(),
      beyond: bridge.beyond.state(),
    }));
    const { bridges } = this;
    return function* () {
      for (const { bridge, conditions, beyond } of states) {
        if (!bridges.has(bridge)) continue;
        yield* bridge.restore(conditions);
        yield* bridge.beyond.restore(beyond, (other) => bridges.has(other as Bridge));
      }
    };
  }

  openUplink(subnet: Subnet, carrier: BackendBridge, way: UplinkWay | undefined): Op<Uplink> {
    return this.serving(this.host.openUplink(carrier, subnet, way));
  }

  openDhcp(bridge: Bridge, carrier: BackendBridge): Op<Service> {
    const book: LeaseBook = {
      bridge: bridge.name,
      subnet: bridge.subnet,
      mtu: bridge.mtu,
      routes: () => bridge.guestRoutes().ipv4,
      leases: () =>
        bridge
          .attachments()
          .flatMap(({ vm, mac, ip }) => (ip === undefined ? [] : [{ mac, name: vm.name, address: ip }])),
    };
    return this.serving(this.host.openDhcp(carrier, book));
  }

  /** Where a VM is attached, in the order of the bridges' names. */
  attachmentsOf(vm: Vm): { readonly bridge: Bridge; readonly attachment: Attachment }[] {
    return [...this.bridges]
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .flatMap((bridge) =>
        bridge
          .attachments()
          .filter((attachment) => attachment.vm === vm)
          .map((attachment) => ({ bridge, attachment })),
      );
  }

  /** A VM has been created: bridges that have waited for its name take it. */
  created(vm: Vm, among: readonly Bridge[]): void {
    for (const bridge of among) bridge.created(vm);
  }

  /** The lines of hosts(5) that a VM gets: every member of every bridge that it is on, itself included. */
  hostsOf(vm: Vm): string {
    const lines: string[] = [];
    const bare = new Set<string>();
    for (const bridge of this.bridges) {
      const members = bridge.attachments();
      if (!members.some((member) => member.vm === vm)) continue;
      for (const other of members) {
        const name = hostName(other.vm.name);
        if (name === undefined || other.ip === undefined) continue;
        const full = `${name}.${hostName(bridge.name) ?? "bridge"}`;
        lines.push(`${other.ip}\t${bare.has(name) ? full : `${full} ${name}`}`);
        // Under a name of its own: who asks for the plain one gets IPv4, whatever the guest's resolver prefers.
        lines.push(`${other.ip6}\t${full}.ip6`);
        bare.add(name);
      }
    }
    return lines.map((line) => `${line}\n`).join("");
  }

  changed(bridge: Bridge, change: BridgeChange, text: string): void {
    this.host.emit("bridge_changed", { file: this.host.file, bridge: bridge.name, change, text });
  }

  /** The bridge is closed. */
  drop(bridge: Bridge): void {
    this.bridges.delete(bridge);
  }

  /** Takes VMs that have ended with their scope off every bridge; the errors of failed releases. */
  *forget(vms: readonly Vm[]): Op<readonly Error[]> {
    const failures: Error[] = [];
    for (const bridge of this.bridges)
      try {
        yield* bridge.forget(vms);
      } catch (error) {
        if (!(error instanceof ProviumError) || error instanceof InterruptedError) throw error;
        failures.push(error);
      }
    return failures;
  }

  /** Ends everything at once. Idempotent. */
  close(): void {
    this.closed = true;
    for (const service of this.services.splice(0)) service.abandon();
    this.backend.made?.close();
  }

  private add(bridge: Bridge): Bridge {
    this.bridges.add(bridge);
    return bridge;
  }

  private *serving<S extends Service>(op: Op<S>): Op<S> {
    const service = yield* op;
    this.services.push(service);
    return service;
  }

  /** Which of the bridges of that name: the one that the VM is on, or the only one. */
  private savedBridge(vm: Vm, nic: SavedNic): Bridge {
    const own = this.attachmentsOf(vm).find(({ bridge }) => bridge.name === nic.bridge)?.bridge;
    const named = [...this.bridges].filter(({ name }) => name === nic.bridge);
    const bridge = own ?? named.find((one) => one.members().includes(vm.name)) ?? named.at(-1);
    if (bridge !== undefined) return bridge;
    throw new ApiError(`${vm.label} was saved on bridge \`${nic.bridge}\`, which is not here`, {
      hint: `Make it first: provium:bridge("${nic.bridge}", {subnet = "${nic.subnet}"}).`,
    });
  }

  private subnetFor(name: string, options: BridgeOptions): Subnet {
    const taken = [...this.bridges];
    if (options.subnet !== undefined) {
      const subnet = parseSubnet(options.subnet);
      const other = taken.find((bridge) => overlaps(bridge.subnet, subnet));
      if (other === undefined) return subnet;
      throw new ApiError(
        `bridge: opts.subnet ${networkOf(subnet)} of \`${name}\` overlaps ${networkOf(other.subnet)} of bridge \`${other.name}\``,
      );
    }
    for (;;) {
      const subnet = defaultSubnet(this.made++);
      if (!taken.some((bridge) => overlaps(bridge.subnet, subnet))) return subnet;
    }
  }
}

const SLOTS = 31;

/** From the last place on: QEMU gives the first ones to disks. */
const freeSlot = (vm: Vm): number => {
  const taken = vm.nicSlots;
  for (let slot = SLOTS; slot > 0; slot--) if (!taken.has(slot)) return slot;
  throw new ApiError(`${vm.label} has ${SLOTS} network interfaces, and a machine has no place for more`);
};

/** A name as hosts(5) and DNS can have it; undefined when nothing of it is left. */
export const hostName = (name: string): string | undefined => {
  const plain = name.replace(/[^A-Za-z0-9._-]+/g, "-").replace(/^[-.]+|[-.]+$/g, "");
  return plain === "" ? undefined : plain;
};

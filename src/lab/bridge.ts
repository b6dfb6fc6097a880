/**
 * A bridge as a test sees it: who is attached, what is wrong on it by wish, and whereto it routes. Settings hold
 * at once where frames flow already, and from the boot of a member on where it does not run yet.
 */

import { ApiError, HostError } from "../errors/errors.ts";
import { suggestion } from "../errors/suggest.ts";
import type { Backend, BackendBridge, ByteSource, Counters, Impairment } from "../net/backend.ts";
import { BRIDGE_PORT } from "../net/backend.ts";
import { all, type Op } from "../sys/op.ts";
import { Turn } from "../sys/turn.ts";
import { type Attachment, NOTHING, type Segment } from "./attachment.ts";
import { Beyond, type GuestRoutes } from "./beyond.ts";
import type { BridgeOptions } from "./bridge-options.ts";
import { Conditions, type Direction, type SavedConditions } from "./conditions.ts";
import type { SavedNic } from "./link.ts";
import type { BridgeChange, Service, Uplink, UplinkWay } from "./network-host.ts";
import { Once } from "./once.ts";
import type { Resource } from "./registry.ts";
import { checkPlace, type SavedBridge } from "./saved-bridge.ts";
import {
  address6Of,
  addressOf,
  BRIDGE_HOST,
  FIRST_GUEST,
  lastGuest,
  network6Of,
  networkOf,
  type Subnet,
} from "./subnet.ts";
import type { Vm } from "./vm.ts";

/** Names of what is on a bridge and is no member; no VM can be called so. */
const ITSELF = "\0bridge";
const UPLINK = "\0uplink";
const DHCP = "\0dhcp";

/** The network of the file, as a bridge sees it. */
export interface BridgeNetwork {
  /** Frames flow, and nothing has ended what carries them. */
  readonly alive: boolean;
  /** VMs that end with their scope just now. */
  readonly leaving: ReadonlySet<Vm>;
  open(): Op<Backend>;
  /** Throws when what carried the frames is gone. */
  check(): void;
  attachment(bridge: Bridge, vm: Vm, host: number | undefined, connected: boolean): Attachment;
  savedAttachment(bridge: Bridge, vm: Vm, nic: SavedNic): Attachment;
  openUplink(subnet: Subnet, carrier: BackendBridge, way: UplinkWay | undefined): Op<Uplink>;
  openDhcp(bridge: Bridge, carrier: BackendBridge): Op<Service>;
  hostsOf(vm: Vm): string;
  changed(bridge: Bridge, change: BridgeChange, text: string): void;
  drop(bridge: Bridge): void;
}

export class Bridge implements Resource, Segment {
  readonly kind = "bridge";
  readonly conditions = new Conditions();
  /** By name, in order of attachment. */
  private readonly attached = new Map<string, Attachment>();
  /** Names of VMs that do not exist yet, and whether their cable will be in. */
  private readonly expected = new Map<string, boolean>();
  private readonly backend: Once<BackendBridge>;
  /** The bridges that it routes to, and the way out. */
  readonly beyond: Beyond = new Beyond(this);
  private dhcp: Service | undefined;
  private nextHost = FIRST_GUEST;
  private closed = false;
  /** To change what is wrong on it. */
  private readonly changing = new Turn();
  /** To put its plan in force. */
  private readonly applying = new Turn();

  constructor(
    readonly name: string,
    readonly network: BridgeNetwork,
    readonly subnet: Subnet,
    private readonly options: BridgeOptions,
  ) {
    this.backend = new Once(() => this.start());
  }

  get label(): string {
    return `bridge \`${this.name}\``;
  }

  get mtu(): number {
    return this.options.mtu;
  }

  get addressing(): BridgeOptions["addressing"] {
    return this.options.addressing;
  }

  /** Its own address in the subnet. */
  get gateway(): string {
    return addressOf(this.subnet, BRIDGE_HOST);
  }

  /** Its own address in the IPv6 network. */
  get gateway6(): string {
    return address6Of(this.subnet, BRIDGE_HOST);
  }

  get network6(): string {
    return network6Of(this.subnet);
  }

  get network4(): string {
    return networkOf(this.subnet);
  }

  members(): string[] {
    return [...this.attached.keys(), ...this.expected.keys()];
  }

  attachments(): readonly Attachment[] {
    return [...this.attached.values()];
  }

  /** The attachment of a VM. Throws ApiError naming who is attached. */
  attachment(name: string, call: string): Attachment {
    const found = this.attached.get(name);
    if (found !== undefined) return found;
    if (this.expected.has(name))
      throw new ApiError(`${call}: vm \`${name}\` on ${this.label} does not exist yet`, {
        hint: `Make it first: lab:vm("${name}", profile).`,
      });
    throw new ApiError(
      `${call}: vm \`${name}\` is not attached to ${this.label} (${suggestion(name, this.members())})`,
      { hint: `Call bridge:attach first: provium:bridge("${this.name}"):attach("${name}").` },
    );
  }

  /** Whether a VM of that name is to be attached as soon as there is one. */
  expects(name: string): boolean {
    return this.expected.has(name);
  }

  /** Whether the cable of a member is in, also of one that is still to come. */
  connected(name: string, call: string): boolean {
    return this.expected.get(name) ?? this.attachment(name, call).connected;
  }

  /** Pulls or puts back that cable. */
  *connect(name: string, connected: boolean, call: string): Op<void> {
    if (this.expected.has(name)) this.expected.set(name, connected);
    else yield* this.attachment(name, call).connect(connected);
  }

  /** What a member has received and sent; zeros for one that is still to come. */
  *counters(name: string, call: string): Op<Counters> {
    return this.expected.has(name) ? NOTHING : yield* this.attachment(name, call).counters();
  }

  /**
   * Attaches VMs, and names of VMs that are still to come. Everything is checked before anything changes; those
   * that run get their interface now, the others when they boot.
   */
  *attach(vms: readonly (Vm | string)[]): Op<void> {
    this.alive("attach");
    const fresh: Attachment[] = [];
    const names = new Set<string>();
    for (const vm of vms) {
      const name = typeof vm === "string" ? vm : vm.name;
      const member = this.attached.get(name)?.vm;
      if (member !== undefined && typeof vm !== "string" && member !== vm)
        throw new ApiError(`bridge:attach: another vm \`${name}\` is attached to ${this.label} already`, {
          hint: "A bridge knows its members by their names.",
        });
      if (member !== undefined || (typeof vm === "string" && this.expected.has(name)))
        throw new ApiError(`bridge:attach: vm \`${name}\` is attached to ${this.label} already`);
      if (names.has(name)) throw new ApiError(`bridge:attach: vm \`${name}\` is named twice`);
      names.add(name);
      if (typeof vm !== "string") vm.checkPlug("bridge:attach");
    }
    if (this.nextHost + vms.length - 1 > lastGuest(this.subnet) && this.addressing !== "none")
      throw new ApiError(
        `bridge:attach: ${this.label} has no address left in ${this.network4} for ${vms.length} more`,
        { hint: 'Give it a larger subnet: provium:bridge(name, {subnet = "10.1.0.0/16"}).' },
      );
    for (const vm of vms)
      if (typeof vm === "string") this.expected.set(vm, true);
      else fresh.push(this.enter(vm));
    this.changed("attached", [...names].join(", "));
    const running = fresh.filter(({ vm }) => vm.running);
    try {
      yield* all(running.map((attachment) => attachment.plug()));
      yield* this.tellNames(running);
    } catch (error) {
      for (const vm of vms) if (typeof vm === "string") this.expected.delete(vm);
      for (const attachment of fresh) this.leave(attachment);
      yield* all(fresh.map((attachment) => attachment.unplug()));
      throw error;
    }
  }

  /** A VM of this name has come to be: it is attached if that was wished for. It does not run yet. */
  created(vm: Vm): void {
    if (this.expected.has(vm.name)) this.enter(vm);
  }

  /** A VM that does not run is attached as its snapshot says. */
  *adopt(vm: Vm, nic: SavedNic): Op<void> {
    this.alive("restore");
    const before = this.attached.get(vm.name);
    checkPlace(
      this,
      this.attachments().filter((other) => other !== before),
      vm,
      nic,
    );
    if (before !== undefined) {
      this.leave(before);
      yield* before.unplug();
    }
    this.expected.delete(vm.name);
    const attachment = this.network.savedAttachment(this, vm, nic);
    if (attachment.host !== undefined) this.nextHost = Math.max(this.nextHost, attachment.host + 1);
    this.attached.set(vm.name, attachment);
    vm.links.add(attachment);
    yield* this.tellNames([]);
  }

  saved(): SavedBridge {
    const { mtu, addressing, seed } = this.options;
    return {
      name: this.name,
      options: { subnet: this.network4, mtu, addressing, seed: String(seed) },
      conditions: this.conditions.state(),
      routes: this.beyond.routes(),
      uplink: this.beyond.way !== undefined,
    };
  }

  /** What was wrong on it when it was saved is wrong again. */
  *restore(state: SavedConditions): Op<void> {
    this.alive("restore");
    this.conditions.load(state);
    yield* this.apply();
  }

  *detach(name: string): Op<void> {
    if (this.expected.delete(name)) {
      this.conditions.forget(name);
      this.changed("detached", name);
      return;
    }
    const attachment = this.attachment(name, "bridge:detach");
    this.leave(attachment);
    this.conditions.forget(name);
    this.changed("detached", name);
    yield* attachment.unplug();
    yield* this.tellNames([]);
    yield* this.rename(attachment.vm);
  }

  changed(change: BridgeChange, text: string): void {
    this.network.changed(this, change, text);
  }

  /** VMs are gone with their scope. */
  *forget(vms: readonly Vm[]): Op<void> {
    const gone = this.attachments().filter(({ vm }) => vms.includes(vm));
    if (gone.length === 0) return;
    for (const attachment of gone) {
      this.leave(attachment);
      this.conditions.forget(attachment.vm.name);
    }
    yield* all(gone.map((attachment) => attachment.unplug()));
    yield* this.tellNames([]);
  }

  /** Changes what is wrong on the bridge; it holds when this returns, and nothing has changed when it throws. */
  *change(
    call: string,
    kind: BridgeChange,
    text: string,
    change: (conditions: Conditions) => void,
  ): Op<void> {
    // One after the other: what is gone back to is to have in it what another task has changed.
    yield* this.changing.take(() => this.changeNow(call, change));
    this.changed(kind, `${call}${text === "" ? "" : ` ${text}`}`);
  }

  /** Both names as a direction, each of a member. */
  direction(from: string, to: string, call: string): Direction {
    for (const name of [from, to]) if (!this.expected.has(name)) this.attachment(name, call);
    if (from === to) throw new ApiError(`${call}: both ends are vm \`${from}\``);
    return [from, to];
  }

  /** Every direction between two members, as far as something is wrong with it. */
  impairments(): { from: string; to: string; cut: boolean; impairment: Impairment }[] {
    const names = this.members();
    return names.flatMap((from) =>
      names
        .filter((to) => to !== from)
        .map((to) => ({ from, to, ...this.conditions.between(from, to) }))
        .filter(({ cut, impairment }) => cut || Object.keys(impairment).length > 0),
    );
  }

  /** The bridge that carries frames, made when it is needed first. */
  *open(call = "open"): Op<BackendBridge> {
    this.alive(call);
    this.network.check();
    const backend = yield* this.backend.get();
    // The responder is a port of the bridge like any other.
    if (this.addressing === "dhcp" && this.dhcp === undefined)
      this.dhcp = yield* this.network.openDhcp(this, backend);
    return backend;
  }

  /** Puts the plan in force; nothing while no frames flow. */
  *apply(): Op<void> {
    // One after the other, each of what holds in its turn: no older plan comes into force after a newer one.
    yield* this.applying.take(() => this.applyNow());
  }

  guestRoutes(): GuestRoutes {
    return this.beyond.guestRoutes();
  }

  /** Sets the interfaces of running members up anew, without the routes that are to go. */
  *renewRoutes(dropRoutes: readonly string[]): Op<void> {
    if (this.addressing !== "fixed") return;
    const renew = (attachment: Attachment): Op<void> =>
      attachment.vm.call("set up routes", (guest) => attachment.setup(guest, 0, dropRoutes));
    yield* all(this.attachments().map((attachment) => attachment.vm.bring(() => renew(attachment))));
  }

  /** Everything that passes: through one member's port, or anywhere on the bridge. */
  *capture(attachment?: Attachment): Op<ByteSource> {
    const backend = yield* this.open("capture");
    return yield* backend.capture(attachment?.portId);
  }

  /** Takes the interfaces out of VMs that go on, and ends the bridge. Repeatable. */
  *close(): Op<void> {
    if (this.closed) return;
    this.closed = true;
    const attachments = this.attachments();
    this.attached.clear();
    this.expected.clear();
    this.network.drop(this);
    const staying = attachments.filter(({ vm }) => !this.network.leaving.has(vm));
    for (const { vm } of attachments) for (const link of attachments) vm.links.delete(link);
    if (this.network.alive) {
      yield* all(staying.map((attachment) => attachment.unplug()));
      yield* all(staying.map(({ vm }) => this.rename(vm)));
    }
    const { dhcp } = this;
    this.dhcp = undefined;
    yield* all([this.beyond.close(), ...(dhcp === undefined ? [] : [dhcp.close()])]);
    const backend = this.backend.made;
    if (backend !== undefined && this.network.alive) yield* backend.close();
  }

  alive(call: string): void {
    if (this.closed) throw new ApiError(`bridge:${call}: ${this.label} is closed`);
  }

  private *start(): Op<BackendBridge> {
    const { name, mtu } = this;
    const own = { ipv4: `${this.gateway}/${this.subnet.prefix}`, ipv6: this.gateway6 };
    const gateway = this.addressing === "none" ? undefined : own;
    const carrier = yield* this.network.open();
    return yield* carrier.openBridge({ name, mtu, gateway });
  }

  private *changeNow(call: string, change: (conditions: Conditions) => void): Op<void> {
    this.alive(call);
    const before = this.conditions.state();
    try {
      change(this.conditions);
      yield* this.apply();
    } catch (error) {
      this.conditions.load(before);
      // What was refused in part does not hold in part either.
      if (error instanceof HostError) yield* this.apply();
      throw error;
    }
  }

  private *applyNow(): Op<void> {
    const backend = this.backend.made;
    if (backend === undefined) return;
    this.network.check();
    const ports = this.attachments().flatMap((attachment) =>
      attachment.portId === undefined
        ? []
        : [{ name: attachment.vm.name, id: attachment.portId, down: !attachment.connected }],
    );
    const services = [
      { name: ITSELF, id: BRIDGE_PORT },
      ...(this.beyond.port === undefined ? [] : [{ name: UPLINK, id: this.beyond.port }]),
      ...(this.dhcp === undefined ? [] : [{ name: DHCP, id: this.dhcp.port }]),
    ];
    yield* backend.apply(this.conditions.plan(this.options.seed, [...ports, ...services]));
  }

  private enter(vm: Vm): Attachment {
    const host = this.addressing === "none" ? undefined : this.nextHost++;
    const connected = this.expected.get(vm.name) ?? true;
    this.expected.delete(vm.name);
    const attachment = this.network.attachment(this, vm, host, connected);
    this.attached.set(vm.name, attachment);
    vm.links.add(attachment);
    return attachment;
  }

  private leave(attachment: Attachment): void {
    this.attached.delete(attachment.vm.name);
    attachment.vm.links.delete(attachment);
  }

  /** Brings the hosts files of running members up to date; `but` have them already when nobody else came. */
  private *tellNames(but: readonly Attachment[]): Op<void> {
    const behind = this.attachments().filter((attachment) => but.length > 1 || !but.includes(attachment));
    yield* all(behind.map(({ vm }) => this.rename(vm)));
  }

  private *rename(vm: Vm): Op<void> {
    yield* vm.bring(() => vm.call("write /etc/hosts", (guest) => guest.setHosts(this.network.hostsOf(vm))));
  }
}

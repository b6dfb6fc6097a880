/**
 * The kernel backend: real bridges and TAPs in a private network namespace, nftables for cuts and loss, tc for the
 * rest. What the kernel lacks is found out before the first port, and said when a test asks for it.
 */

import { createHash } from "node:crypto";
import { HostError } from "../errors/errors.ts";
import { closeFd } from "../sys/libc.ts";
import type { Op } from "../sys/op.ts";
import { Turn } from "../sys/turn.ts";
import type { Backend, BackendBridge, BridgeSpec, ByteSource, Plan, Port } from "./backend.ts";
import type { Features } from "./kernel-features.ts";
import { type Device, featuresOf, kernelRules, routingFile, shapingBatch } from "./kernel-plan.ts";
import { DevicePort, TapPort } from "./kernel-port.ts";
import type { Namespace } from "./namespace.ts";

/** What each quality is called in errors. */
const WORDS = {
  latencyNs: "latency",
  jitterNs: "jitter",
  duplicate: "duplication",
  reorder: "reordering",
  corrupt: "corruption",
  rateBps: "a bandwidth limit",
  loss: "loss",
} as const;

/** Stands for what a device got of a batch that was refused. */
const UNKNOWN = "?";

/** Bridges have no IPv6 otherwise; where the host's kernel has none there is nothing to give. */
const ADDRESS6 = `
settings=/proc/sys/net/ipv6/conf/$0
[ -e $settings ] || exit 0
echo 0 >$settings/accept_dad && echo 0 >$settings/disable_ipv6 && ip address add $1/64 dev $0`;

const macOf = (name: string): string =>
  `52:54:01:${createHash("sha256")
    .update(name)
    .digest("hex")
    .slice(0, 6)
    .replace(/(..)(..)(..)/, "$1:$2:$3")}`;

export class KernelBridge implements BackendBridge {
  readonly ports = new Map<number, DevicePort>();
  private readonly shaped = new Map<string, string>();
  private lastPort = 0;
  private closed = false;

  constructor(
    readonly device: Device,
    private readonly spec: BridgeSpec,
    private readonly backend: KernelBackend,
    private readonly closing: (bridge: KernelBridge) => void,
  ) {}

  *openPort(_name: string, mac: string): Op<Port> {
    const { namespace } = this.backend;
    const name = this.backend.freshName("t");
    const tap = yield* namespace.tap(name);
    const port = new TapPort(++this.lastPort, { name, mac }, namespace, this.left, tap);
    try {
      yield* namespace.batch("ip", [this.joining(name)]);
    } catch (error) {
      closeFd(port.wire.fd);
      port.abandon();
      throw error;
    }
    this.ports.set(port.id, port);
    return port;
  }

  /** A port whose far end is the device `far` in the network namespace of the process `pid`. */
  *openCable(far: string, mac: string, pid: number): Op<DevicePort> {
    const { namespace } = this.backend;
    const name = this.backend.freshName("t");
    yield* namespace.batch("ip", [
      `link add name ${name} type veth peer name ${far} address ${mac} mtu ${this.spec.mtu} netns ${pid}`,
      this.joining(name),
    ]);
    const port = new DevicePort(++this.lastPort, { name, mac }, namespace, this.left);
    this.ports.set(port.id, port);
    return port;
  }

  *apply(plan: Plan): Op<void> {
    this.backend.checkFeatures(plan);
    const { namespace } = this.backend;
    const devices = new Map([...this.ports].map(([id, { device }]) => [id, device]));
    const { nft, shaping } = kernelRules(plan, this.device, devices);
    if (this.backend.features.has("nft")) yield* namespace.batch("nft", nft);
    const batch: string[] = [];
    const changed = new Map<string, string>();
    for (const { name } of devices.values()) {
      const commands = shaping.get(name) ?? [];
      const before = this.shaped.get(name) ?? "";
      const now = commands.join("\n");
      // A queue that stays as it is keeps what it holds.
      if (now === before) continue;
      batch.push(...shapingBatch(name, commands, before === UNKNOWN ? "unknown" : before !== ""));
      changed.set(name, now);
      this.shaped.set(name, now);
    }
    try {
      yield* namespace.batch("tc", batch);
    } catch (error) {
      // The commands before the refused one hold.
      for (const [name, now] of changed) if (this.shaped.get(name) === now) this.shaped.set(name, UNKNOWN);
      throw error;
    }
  }

  capture(port?: number): Op<ByteSource> {
    const device = port === undefined ? this.device : this.ports.get(port)?.device;
    if (device === undefined) throw new HostError(`no port ${port} on bridge ${this.spec.name}`);
    return this.backend.namespace.capture(device.name);
  }

  *close(): Op<void> {
    if (this.closed) return;
    this.closed = true;
    this.closing(this);
    for (const port of [...this.ports.values()]) yield* port.close();
    if (this.backend.death === undefined)
      yield* this.backend.namespace.run(["ip", "link", "del", this.device.name]);
  }

  abandon(): void {
    for (const port of this.ports.values()) port.abandon();
  }

  private joining(name: string): string {
    return `link set dev ${name} master ${this.device.name} mtu ${this.spec.mtu} up`;
  }

  private readonly left = (port: DevicePort): void => {
    this.ports.delete(port.id);
  };
}

export class KernelBackend implements Backend {
  readonly kind = "kernel";
  private readonly bridges = new Set<KernelBridge>();
  private routed: readonly (readonly [string, string])[] = [];
  /** To put in force what is routed. */
  private readonly routing = new Turn();
  private names = 0;

  constructor(
    readonly namespace: Namespace,
    readonly features: Features,
  ) {}

  get death(): Error | undefined {
    return this.namespace.death;
  }

  /** From now on nothing is routed but what `route` names. */
  *start(): Op<void> {
    if (this.features.has("nft")) yield* this.namespace.batch("nft", routingFile([]));
  }

  freshName(letter: "b" | "t"): string {
    return `${letter}${++this.names}`;
  }

  *openBridge(spec: BridgeSpec): Op<BackendBridge> {
    const name = this.freshName("b");
    const mac = macOf(spec.name);
    yield* this.namespace.batch("ip", [
      `link add name ${name} address ${mac} type bridge stp_state 0 forward_delay 0 mcast_snooping 0`,
      `link set dev ${name} mtu ${spec.mtu} up`,
      ...(spec.gateway === undefined ? [] : [`address add ${spec.gateway.ipv4} dev ${name}`]),
    ]);
    if (spec.gateway?.ipv6 !== undefined)
      yield* this.namespace.run(["sh", "-c", ADDRESS6, name, spec.gateway.ipv6], "ip");
    const bridge = new KernelBridge({ name, mac }, spec, this, (gone) => this.bridges.delete(gone));
    this.bridges.add(bridge);
    return bridge;
  }

  *route(a: BackendBridge, b: BackendBridge, routed: boolean): Op<void> {
    if (!(a instanceof KernelBridge) || !(b instanceof KernelBridge))
      throw new TypeError("a bridge of another backend");
    if (!this.features.has("nft")) throw this.features.refusal("nft", "routing needs");
    const ends = [a.device.name, b.device.name] as const;
    // One after the other, as each replaces the rules of the one before.
    yield* this.routing.take(() => {
      const others = this.routed.filter((pair) => !ends.every((end) => pair.includes(end)));
      this.routed = routed ? [...others, ends] : others;
      return this.namespace.batch("nft", routingFile(this.routed));
    });
  }

  /** Throws HostError naming what the plan needs and the kernel lacks. */
  checkFeatures(plan: Plan): void {
    for (const { cut, impairment } of plan.pairs)
      for (const feature of featuresOf(impairment, cut)) {
        if (this.features.has(feature)) continue;
        const wanted = Object.keys(impairment).find((key) =>
          featuresOf({ [key]: impairment[key as keyof typeof impairment] }, false).includes(feature),
        ) as keyof typeof WORDS | undefined;
        throw this.features.refusal(feature, `${wanted === undefined ? "a partition" : WORDS[wanted]} needs`);
      }
  }

  close(): void {
    for (const bridge of this.bridges) bridge.abandon();
    this.bridges.clear();
    this.namespace.close();
  }
}

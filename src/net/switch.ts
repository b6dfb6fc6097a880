/**
 * The userland backend: an Ethernet switch of our own (`provium-helper switch`, agent/host/switch/), to which QEMU's
 * stream netdevs are connected by socket pairs. It needs nothing of the host: no privilege, no module, no TAP.
 */

import { ApiError } from "../errors/errors.ts";
import { ipv6Bytes } from "../packet/addresses.ts";
import { wantsProcessor } from "../sys/cpu-time.ts";
import { closeFd, pipePair, setNonBlocking, socketPair } from "../sys/libc.ts";
import type { Op } from "../sys/op.ts";
import type {
  Backend,
  BackendBridge,
  BridgeSpec,
  ByteSource,
  Counters,
  Plan,
  PlannedPair,
  Port,
} from "./backend.ts";
import { SwitchControl, type SwitchHost } from "./switch-control.ts";

/** What each end of a port may send ahead; above a queue of small frames it saves turns of both sides. */
const PORT_BUFFER_BYTES = 512 * 1024;
/** How the switch writes a probability: parts of this. */
const CERTAIN = 2 ** 32;
const LONGEST_NAME = 255;

/** Starts the switch of a test file. */
// biome-ignore lint/correctness/useYield: every backend is opened by an operation; this one is ready at once
export function* openSwitch(host: SwitchHost): Op<Backend> {
  return new UserBackend(SwitchControl.start(host));
}

export class UserBackend implements Backend {
  readonly kind = "user";
  private bridges = 0;

  constructor(private readonly control: SwitchControl) {}

  get death(): Error | undefined {
    return this.control.death;
  }

  /** Process id of the switch. */
  get pid(): number {
    return this.control.pid;
  }

  *openBridge(spec: BridgeSpec): Op<BackendBridge> {
    const id = ++this.bridges;
    const { address, prefix } = parseGateway(spec.gateway?.ipv4);
    const gateway6 = spec.gateway?.ipv6 === undefined ? new Uint8Array(0) : ipv6Bytes(spec.gateway.ipv6);
    yield* this.control.ask("BRIDGE_OPEN", { bridge: id, mtu: spec.mtu, gateway: address, prefix, gateway6 });
    return new UserBridge(this.control, id);
  }

  *route(a: BackendBridge, b: BackendBridge, routed: boolean): Op<void> {
    if (!(a instanceof UserBridge && b instanceof UserBridge))
      throw new TypeError("a route connects two bridges of this switch");
    yield* this.control.ask("ROUTE", { a: a.id, b: b.id, routed: routed ? 1 : 0 });
  }

  /** What the switch holds right now; see STATE in switch-messages.ts. */
  *state(): Op<Readonly<Record<string, number>>> {
    const reply = yield* this.control.ask("STATE", {});
    return Object.fromEntries(Object.entries(reply).map(([name, value]) => [name, Number(value)]));
  }

  close(): void {
    this.control.close();
  }
}

class UserBridge implements BackendBridge {
  private ports = 0;
  private captures = 0;
  private closed = false;

  constructor(
    private readonly control: SwitchControl,
    readonly id: number,
  ) {}

  *openPort(name: string, _mac: string): Op<Port> {
    const id = ++this.ports;
    const [qemu, ours] = socketPair(PORT_BUFFER_BYTES);
    try {
      const label = new TextEncoder().encode(name).subarray(0, LONGEST_NAME);
      yield* this.control.ask("PORT_OPEN", { bridge: this.id, port: id, name: label }, ours);
    } catch (error) {
      closeFd(qemu);
      throw error;
    } finally {
      closeFd(ours);
    }
    return new UserPort(this.control, this, id, qemu);
  }

  *apply(plan: Plan): Op<void> {
    const seed = BigInt.asIntN(64, plan.seed);
    yield* this.control.ask("PLAN", { bridge: this.id, seed, pairs: plan.pairs.flatMap(pairNumbers) });
  }

  *capture(port = -1): Op<ByteSource> {
    const capture = ++this.captures;
    const [reader, writer] = pipePair();
    try {
      setNonBlocking(reader);
      yield* this.control.ask("CAPTURE_OPEN", { bridge: this.id, capture, port }, writer);
    } catch (error) {
      closeFd(reader);
      throw error;
    } finally {
      closeFd(writer);
    }
    let open = true;
    const stop = (): Op<void> => this.stop(capture);
    return {
      fd: reader,
      behind: () => wantsProcessor(this.control.pid),
      *close() {
        if (!open) return;
        open = false;
        closeFd(reader);
        yield* stop();
      },
    };
  }

  *close(): Op<void> {
    if (this.closed) return;
    this.closed = true;
    if (this.control.death === undefined) yield* this.control.ask("BRIDGE_CLOSE", { bridge: this.id });
  }

  /** Whether there is anything left to be closed on this bridge. */
  get gone(): boolean {
    return this.closed || this.control.death !== undefined;
  }

  private *stop(capture: number): Op<void> {
    if (!this.gone) yield* this.control.ask("CAPTURE_CLOSE", { bridge: this.id, capture });
  }
}

class UserPort implements Port {
  readonly wire: { readonly kind: "stream"; readonly fd: number };
  private closed = false;

  constructor(
    private readonly control: SwitchControl,
    private readonly bridge: UserBridge,
    readonly id: number,
    fd: number,
  ) {
    this.wire = { kind: "stream", fd };
  }

  *counters(): Op<Counters> {
    const reply = yield* this.control.ask("PORT_COUNTERS", { bridge: this.bridge.id, port: this.id });
    return {
      rxBytes: Number(reply.rx_bytes),
      txBytes: Number(reply.tx_bytes),
      rxPackets: Number(reply.rx_packets),
      txPackets: Number(reply.tx_packets),
      errors: Number(reply.errors),
    };
  }

  *close(): Op<void> {
    if (this.closed) return;
    this.closed = true;
    if (!this.bridge.gone) yield* this.control.ask("PORT_CLOSE", { bridge: this.bridge.id, port: this.id });
  }
}

/** The integers of a pair in PLAN. */
const pairNumbers = ({ from, to, cut, impairment }: PlannedPair): number[] => [
  from,
  to,
  cut ? 1 : 0,
  Math.round(impairment.latencyNs ?? 0),
  Math.round(impairment.jitterNs ?? 0),
  chance(impairment.loss),
  chance(impairment.duplicate),
  chance(impairment.reorder),
  chance(impairment.corrupt),
  Math.round(impairment.rateBps ?? 0),
];

const chance = (probability = 0): number => Math.round(probability * CERTAIN);

/** "10.1.2.1/24" in four bytes and the bits of the network; no bytes for a bridge without address. */
const parseGateway = (text: string | undefined): { address: Uint8Array; prefix: number } => {
  if (text === undefined) return { address: new Uint8Array(0), prefix: 0 };
  const match = /^(\d+)\.(\d+)\.(\d+)\.(\d+)\/(\d+)$/.exec(text);
  const numbers = (match ?? []).slice(1).map(Number);
  const prefix = numbers[4];
  if (prefix === undefined || prefix > 32 || numbers.slice(0, 4).some((byte) => byte > 255))
    throw new ApiError(`the bridge's address is "10.1.2.1/24" or alike, got "${text}"`);
  return { address: Uint8Array.from(numbers.slice(0, 4)), prefix };
};

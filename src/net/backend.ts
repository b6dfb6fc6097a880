/**
 * What carries frames between guests, as the model of bridges sees it. The kernel backend (a real bridge in a
 * private network namespace) and the userland switch implement it; `lab/` plans, `runner/` wires them together.
 *
 * One backend serves one test file with all its bridges and ends with it.
 */

import type { Op } from "../sys/op.ts";

/** What happens to the frames of one direction of one pair of ports. Absent: nothing. */
export interface Impairment {
  readonly latencyNs?: number | undefined;
  /** Each frame is late by `latencyNs` plus an even draw from -jitterNs..+jitterNs, never less than 0. */
  readonly jitterNs?: number | undefined;
  /** Probabilities, 0 to 1, drawn for each frame on its own. */
  readonly loss?: number | undefined;
  readonly duplicate?: number | undefined;
  /** A reordered frame overtakes those that wait: it is sent without the latency. */
  readonly reorder?: number | undefined;
  /** One bit of the frame is flipped. */
  readonly corrupt?: number | undefined;
  /** Bits per second of whole frames, from the destination address to the end of the payload. */
  readonly rateBps?: number | undefined;
}

/** The bridge itself as an end of a pair: its gateway address and what is routed through it. */
export const BRIDGE_PORT = 0;

/** One ordered pair of ports that differs from plain forwarding. */
export interface PlannedPair {
  readonly from: number;
  readonly to: number;
  /** Nothing passes, whatever the impairment. */
  readonly cut: boolean;
  readonly impairment: Impairment;
}

/**
 * Everything that is not plain forwarding on one bridge, folded from whole-bridge and directional settings,
 * partitions and isolation: each ordered pair occurs at most once. A plan replaces the one before. A pair that
 * both plans have with the same values keeps what it has under way and goes on with its random numbers.
 */
export interface Plan {
  /** Each ordered pair draws from a generator of its own, made from this, so that a run repeats whatever others do. */
  readonly seed: bigint;
  readonly pairs: readonly PlannedPair[];
}

/** From the guest's side: `rx` is what came to it. */
export interface Counters {
  readonly rxBytes: number;
  readonly txBytes: number;
  readonly rxPackets: number;
  readonly txPackets: number;
  readonly errors: number;
}

/**
 * How QEMU gets at a port: a connected stream socket (each frame behind its length in 4 bytes, big-endian), or a TAP
 * descriptor without virtio-net header. The descriptor belongs to the caller, who closes it once QEMU has its own.
 */
export interface Wire {
  readonly kind: "stream" | "tap";
  readonly fd: number;
}

export interface Port {
  /** 1 and up, never used again on its bridge. */
  readonly id: number;
  readonly wire: Wire;
  counters(): Op<Counters>;
  /** Idempotent. The far end of the wire may be gone already. */
  close(): Op<void>;
}

/** The addresses of a bridge itself. */
export interface Gateway {
  /** "10.1.2.1/24". */
  readonly ipv4: string;
  /** "fd00:0:0:1::1", in a network of 64 bits. */
  readonly ipv6?: string | undefined;
}

export interface BridgeSpec {
  readonly name: string;
  /** Largest payload of a frame, without Ethernet header and VLAN tag. */
  readonly mtu: number;
  /** It has addresses of its own: it answers who looks for them and pings, and routes where `route` says so. */
  readonly gateway?: Gateway | undefined;
}

/** A stream of bytes to be read by the owner: non-blocking, ended by end of file. */
export interface ByteSource {
  readonly fd: number;
  /** What feeds it has something to do: there may be more that has not been written yet. */
  behind(): boolean;
  /** Stops what feeds it and closes the descriptor. Idempotent. */
  close(): Op<void>;
}

export interface BackendBridge {
  /** @param mac "52:54:00:12:34:56" of the guest behind it. */
  openPort(name: string, mac: string): Op<Port>;
  /** Returns when it is in force. */
  apply(plan: Plan): Op<void>;
  /** Classic pcap with nanosecond or microsecond times, from now on: what enters `port`, and what leaves through it; all ports without one. */
  capture(port?: number): Op<ByteSource>;
  /** Takes its ports along. Idempotent. */
  close(): Op<void>;
}

export interface Backend {
  readonly kind: "kernel" | "user";
  openBridge(spec: BridgeSpec): Op<BackendBridge>;
  /** From now on IP packets pass between the two bridges through their gateways, both ways; or no more. */
  route(a: BackendBridge, b: BackendBridge, routed: boolean): Op<void>;
  /** Set once the process behind it is gone; every later call throws it. */
  readonly death: Error | undefined;
  /** Ends everything at once. Idempotent. */
  close(): void;
}

/**
 * The wire between the runner and its Ethernet switch (`provium-helper switch`): the one definition that both
 * sides share. Frames and field types are those of `guest/messages.ts`, the actor is always 0;
 * `agent/common/generate.ts` turns this table into the switch's structs. A plan for 257 ports fits into a frame.
 *
 * Every request is answered by one OK or one ERROR with its id, in the order of the requests. PORT_OPEN and
 * CAPTURE_OPEN come with a descriptor (SCM_RIGHTS) that is sent with their first byte. The switch ends with the
 * socket. Bridges, ports and captures have numbers that the runner chooses; those of ports and captures belong
 * to their bridge. Port 0 is the bridge itself.
 */

import type { MessageSpec } from "../guest/messages.ts";

const define = <const T extends Record<string, MessageSpec>>(table: T): T => table;

/** Descriptor number of the socket in the switch. */
export const CONTROL_FD = 3;
/** Integers that describe one pair in PLAN. */
export const PAIR_FIELDS = 10;

export const SWITCH_MESSAGES = define({
  /** Positive answer; its fields are the `reply` of the request. */
  OK: { kind: 3, fields: {} },
  /** Negative answer. `errno` is 0 for a refusal of the switch itself; `operation` names what failed. */
  ERROR: { kind: 4, fields: { errno: "int", operation: "bytes", message: "bytes" } },
  /**
   * `gateway`: the bridge's own IPv4 address in four bytes, empty for none; `prefix` the bits of its network.
   * `gateway6`: beside it the IPv6 address in sixteen bytes, in a network of 64 bits, or empty.
   */
  BRIDGE_OPEN: {
    kind: 16,
    fields: { bridge: "int", mtu: "int", gateway: "bytes", prefix: "int", gateway6: "bytes" },
    reply: {},
    served: "io",
  },
  /** Takes ports, captures and routes along. */
  BRIDGE_CLOSE: { kind: 17, fields: { bridge: "int" }, reply: {}, served: "io" },
  /** With the switch's end of the socket. `name` seeds the generators of the port's pairs. */
  PORT_OPEN: { kind: 18, fields: { bridge: "int", port: "int", name: "bytes" }, reply: {}, served: "io" },
  PORT_CLOSE: { kind: 19, fields: { bridge: "int", port: "int" }, reply: {}, served: "io" },
  /** From the guest's side. */
  PORT_COUNTERS: {
    kind: 20,
    fields: { bridge: "int", port: "int" },
    reply: { rx_bytes: "int", tx_bytes: "int", rx_packets: "int", tx_packets: "int", errors: "int" },
    served: "io",
  },
  /**
   * All pairs of a bridge that are not plain wires, PAIR_FIELDS integers each: from, to, cut (0 or 1), latency and
   * jitter in ns, loss, duplicate, reorder, corrupt as parts of 2^32, rate in bits per second (0: no limit).
   */
  PLAN: { kind: 21, fields: { bridge: "int", seed: "int", pairs: "ints" }, reply: {}, served: "io" },
  /** IPv4 packets pass between the two bridges, both ways, or no more (`routed` 0). Both have an address. */
  ROUTE: { kind: 22, fields: { a: "int", b: "int", routed: "int" }, reply: {}, served: "io" },
  /** With the write end of a pipe. `port` -1: all ports. */
  CAPTURE_OPEN: { kind: 23, fields: { bridge: "int", capture: "int", port: "int" }, reply: {}, served: "io" },
  /** `lost`: frames that the reader was too slow for. One that went with its port has lost none. */
  CAPTURE_CLOSE: {
    kind: 24,
    fields: { bridge: "int", capture: "int" },
    reply: { lost: "int" },
    served: "io",
  },
  /** What the switch holds right now, for leak checks. */
  STATE: {
    kind: 25,
    fields: {},
    reply: {
      bridges: "int",
      ports: "int",
      pairs: "int",
      captures: "int",
      learned: "int",
      queued_bytes: "int",
      flight_bytes: "int",
      descriptors: "int",
      rss_bytes: "int",
    },
    served: "io",
  },
});

export type SwitchMessageName = keyof typeof SWITCH_MESSAGES;

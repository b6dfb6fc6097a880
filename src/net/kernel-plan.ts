/**
 * From a plan to rules of nft and tc. Pure.
 *
 * Cuts and loss are rules of nftables between two ports. The rest is on the TAP that leads to the destination: one
 * class for each source, told by its MAC address, with the rate (htb) and below it everything else (netem).
 */

import { BRIDGE_PORT, type Impairment, type Plan } from "./backend.ts";

/** A port of the bridge as the kernel knows it. */
export interface Device {
  readonly name: string;
  readonly mac: string;
}

export interface KernelRules {
  /** A file for `nft -f` that replaces the rules of this bridge. */
  readonly nft: readonly string[];
  /** For each device towards which something is shaped: the commands of `tc -batch` below its root. */
  readonly shaping: ReadonlyMap<string, readonly string[]>;
}

/** What of the kernel a direction needs beyond forwarding. */
export type Feature = "nft" | "htb" | "netem";

export const featuresOf = (impairment: Impairment, cut: boolean): readonly Feature[] => {
  const { latencyNs, jitterNs, duplicate, reorder, corrupt, rateBps, loss } = impairment;
  return [
    ...(cut || loss ? (["nft"] as const) : []),
    ...(rateBps ? (["htb"] as const) : []),
    ...(latencyNs || jitterNs || duplicate || reorder || corrupt ? (["netem", "htb"] as const) : []),
  ];
};

/** Without a limit of its own a class gets what no link of ours reaches. */
const UNLIMITED_BPS = 100e9;
const MILLION = 1_000_000;
const FIRST_CLASS = 0x10;

const percentage = (probability: number): string => `${Number((probability * 100).toFixed(6))}%`;
const micros = (ns: number): string => `${Number((ns / 1000).toFixed(3))}us`;

const netem = (impairment: Impairment): string => {
  const { latencyNs = 0, jitterNs = 0, duplicate, reorder, corrupt } = impairment;
  const words = ["netem limit 100000"];
  // A reordered frame is one that is not made late.
  if (latencyNs > 0 || jitterNs > 0)
    words.push(`delay ${micros(latencyNs)}${jitterNs > 0 ? ` ${micros(jitterNs)}` : ""}`);
  if (duplicate) words.push(`duplicate ${percentage(duplicate)}`);
  if (reorder && latencyNs > 0) words.push(`reorder ${percentage(reorder)}`);
  if (corrupt) words.push(`corrupt ${percentage(corrupt)}`);
  return words.join(" ");
};

const verdict = (cut: boolean, loss: number | undefined): string | undefined => {
  if (cut) return "drop";
  if (!loss) return undefined;
  return loss >= 1 ? "drop" : `numgen random mod ${MILLION} < ${Math.round(loss * MILLION)} drop`;
};

/** `bridge`: the device with all ports, and the MAC address of its own. */
export const kernelRules = (plan: Plan, bridge: Device, ports: ReadonlyMap<number, Device>): KernelRules => {
  const chains: Record<"forward" | "input" | "output", string[]> = { forward: [], input: [], output: [] };
  const shaping = new Map<string, string[]>();
  for (const { from, to, cut, impairment } of plan.pairs) {
    const source = from === BRIDGE_PORT ? bridge : ports.get(from);
    const target = to === BRIDGE_PORT ? bridge : ports.get(to);
    if (source === undefined || target === undefined) continue;
    const action = verdict(cut, impairment.loss);
    if (action !== undefined) {
      if (to === BRIDGE_PORT) chains.input.push(`iifname "${source.name}" ${action}`);
      else if (from === BRIDGE_PORT) chains.output.push(`oifname "${target.name}" ${action}`);
      else chains.forward.push(`iifname "${source.name}" oifname "${target.name}" ${action}`);
    }
    const shaped = featuresOf(impairment, false).includes("htb");
    // What the bridge itself receives passes no queue that could be shaped.
    if (!shaped || to === BRIDGE_PORT) continue;
    const commands = shaping.get(target.name) ?? [];
    const handle = (FIRST_CLASS + commands.length).toString(16);
    const { name } = target;
    commands.push(
      `class add dev ${name} parent 1: classid 1:${handle} htb rate ${impairment.rateBps ?? UNLIMITED_BPS}bit quantum 60000`,
    );
    if (featuresOf(impairment, false).includes("netem"))
      commands.push(`qdisc add dev ${name} parent 1:${handle} ${netem(impairment)}`);
    commands.push(
      `filter add dev ${name} parent 1: protocol all prio 1 u32 match ether src ${source.mac} flowid 1:${handle}`,
    );
    shaping.set(name, commands);
  }
  return { nft: nftFile(bridge.name, chains), shaping };
};

const nftFile = (table: string, chains: Readonly<Record<string, readonly string[]>>): string[] => [
  // Declared first, so that there is one to delete: all of this is one transaction.
  `table bridge ${table}`,
  `delete table bridge ${table}`,
  `table bridge ${table} {`,
  ...Object.entries(chains).flatMap(([hook, rules]) => [
    ` chain ${hook} {`,
    `  type filter hook ${hook} priority 0`,
    ...rules.map((rule) => `  ${rule}`),
    " }",
  ]),
  "}",
];

/**
 * The queue of a device with its classes; without any, back to the default. Where it is not known whether there was
 * one there is one first, since only such a one can be removed.
 */
export const shapingBatch = (
  device: string,
  commands: readonly string[],
  had: boolean | "unknown",
): string[] => [
  ...(had === "unknown" ? [`qdisc replace dev ${device} root pfifo`] : []),
  ...(had === false ? [] : [`qdisc del dev ${device} root`]),
  ...(commands.length === 0 ? [] : [`qdisc add dev ${device} root handle 1: htb`]),
  ...commands,
];

/** Between which bridges packets are routed; everything else is not. */
export const routingFile = (routed: readonly (readonly [string, string])[]): string[] => [
  "table inet provium",
  "delete table inet provium",
  "table inet provium {",
  " chain forward {",
  "  type filter hook forward priority 0; policy drop",
  ...routed.flatMap(([a, b]) => [
    `  iifname "${a}" oifname "${b}" accept`,
    `  iifname "${b}" oifname "${a}" accept`,
  ]),
  " }",
  "}",
];

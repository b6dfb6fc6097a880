/** Plans and the rules that the kernel backend makes of them: tests/vm/net/kernel_rules.test.lua tries them out. */

import type { Impairment, PlannedPair } from "../../../src/net/backend.ts";

const MS = 1_000_000;
const pair = (from: number, to: number, impairment: Impairment, cut = false): PlannedPair => ({
  from,
  to,
  cut,
  impairment,
});

export const BRIDGE = { name: "b0", mac: "52:54:01:00:00:01" };
export const PORTS = new Map([1, 2, 3].map((n) => [n, { name: `t${n}`, mac: `52:54:00:00:00:0${n}` }]));

export const PLANS: Readonly<Record<string, readonly PlannedPair[]>> = {
  latency: [pair(1, 2, { latencyNs: 100 * MS })],
  jitter: [pair(1, 2, { latencyNs: 100 * MS, jitterNs: 60 * MS })],
  loss: [pair(1, 2, { loss: 0.3 })],
  duplication: [pair(1, 2, { duplicate: 0.5 })],
  reordering: [pair(1, 2, { latencyNs: 150 * MS, reorder: 0.3 })],
  corruption: [pair(1, 2, { corrupt: 1 })],
  rate: [pair(1, 2, { rateBps: 4_000_000 })],
  together: [pair(1, 2, { latencyNs: 80 * MS, loss: 0.2, duplicate: 0.25, rateBps: 50_000_000 })],
  several: [
    pair(1, 3, { latencyNs: 200 * MS, rateBps: 100_000_000 }),
    pair(2, 3, { latencyNs: 50 * MS, loss: 0.000_001 }),
    pair(1, 2, {}, true),
  ],
};

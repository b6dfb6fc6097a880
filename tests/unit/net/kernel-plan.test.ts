import { describe, expect, test } from "bun:test";
import { BRIDGE_PORT, type Impairment, type Plan } from "../../../src/net/backend.ts";
import { featuresOf, kernelRules, routingFile, shapingBatch } from "../../../src/net/kernel-plan.ts";
import { BRIDGE, PLANS, PORTS } from "./kernel-golden.ts";

const bridge = { name: "b1", mac: "52:54:01:00:00:01" };
const ports = new Map([
  [1, { name: "t2", mac: "52:54:00:00:00:01" }],
  [2, { name: "t3", mac: "52:54:00:00:00:02" }],
]);
const plan = (from: number, to: number, impairment: Impairment, cut = false): Plan => ({
  seed: 1n,
  pairs: [{ from, to, cut, impairment }],
});
const rules = (one: Plan): string[] =>
  kernelRules(one, bridge, ports).nft.flatMap((line) => (/drop/.test(line) ? [line.trim()] : []));

describe("rules of the kernel", () => {
  test("are those that a real kernel has been tried with", async () => {
    const golden = await Bun.file(new URL("../../golden/kernel-rules.json", import.meta.url)).json();
    const made = Object.entries(PLANS).map(([name, pairs]) => {
      const { nft, shaping } = kernelRules({ seed: 1n, pairs }, BRIDGE, PORTS);
      const tc = [...shaping].flatMap(([device, commands]) => shapingBatch(device, commands, false));
      return { name, nft, tc };
    });
    expect(made).toEqual(golden);
  });

  test("a cut is a rule for its direction", () => {
    expect(rules(plan(1, 2, {}, true))).toEqual(['iifname "t2" oifname "t3" drop']);
  });

  test("cuts from and towards the bridge itself are rules of input and output", () => {
    expect(rules(plan(1, BRIDGE_PORT, {}, true))).toEqual(['iifname "t2" drop']);
    expect(rules(plan(BRIDGE_PORT, 2, {}, true))).toEqual(['oifname "t3" drop']);
  });

  test("loss is a draw for each frame; certain loss is a cut", () => {
    expect(rules(plan(1, 2, { loss: 0.25 }))).toEqual([
      'iifname "t2" oifname "t3" numgen random mod 1000000 < 250000 drop',
    ]);
    expect(rules(plan(1, 2, { loss: 1 }))).toEqual(['iifname "t2" oifname "t3" drop']);
  });

  test("delay and rate are at the destination, told by the source's MAC address", () => {
    const { shaping } = kernelRules(
      plan(1, 2, { latencyNs: 2e7, jitterNs: 1e6, rateBps: 1e6 }),
      bridge,
      ports,
    );
    expect(shaping.get("t3")).toEqual([
      "class add dev t3 parent 1: classid 1:10 htb rate 1000000bit quantum 60000",
      "qdisc add dev t3 parent 1:10 netem limit 100000 delay 20000us 1000us",
      "filter add dev t3 parent 1: protocol all prio 1 u32 match ether src 52:54:00:00:00:01 flowid 1:10",
    ]);
  });

  test("a rate alone needs no netem", () => {
    expect(featuresOf({ rateBps: 5 }, false)).toEqual(["htb"]);
    expect(featuresOf({ latencyNs: 5 }, true)).toEqual(["nft", "netem", "htb"]);
  });

  test("pairs of ports that have gone are left out", () => {
    expect(rules(plan(1, 9, {}, true))).toEqual([]);
  });

  test("an empty plan takes the queue away that an earlier one has made", () => {
    expect(shapingBatch("t3", [], true)).toEqual(["qdisc del dev t3 root"]);
    expect(shapingBatch("t3", ["x"], false)).toEqual(["qdisc add dev t3 root handle 1: htb", "x"]);
  });

  test("nothing is routed but what was named, both ways", () => {
    const text = routingFile([["b1", "b2"]]).join("\n");
    expect(text).toContain("policy drop");
    expect(text).toContain('iifname "b2" oifname "b1" accept');
  });
});

import { describe, expect, test } from "bun:test";
import type { SavedNic } from "../../../src/lab/link.ts";
import { checkPlace, isSavedBridge } from "../../../src/lab/saved-bridge.ts";

const nic: SavedNic = {
  bridge: "lan",
  subnet: "10.1.2.0/24",
  mac: "52:54:00:00:00:01",
  host: 10,
  slot: 31,
  connected: true,
};
const vm = { label: "vm `a`" };
const lan = { label: "bridge `lan`", network4: "10.1.2.0/24" };

describe("the place of a saved VM on a bridge", () => {
  test("is free where nobody has its addresses", () => {
    expect(() =>
      checkPlace(lan, [{ vm: { name: "b" }, mac: "52:54:00:00:00:02", host: 11 }], vm, nic),
    ).not.toThrow();
  });

  test("is refused on a bridge with another network, naming both", () => {
    expect(() => checkPlace({ ...lan, network4: "10.89.0.0/24" }, [], vm, nic)).toThrow(
      "vm `a` cannot go on on bridge `lan`: its addresses are of 10.1.2.0/24, and the bridge has 10.89.0.0/24",
    );
  });

  test("is refused beside who has its MAC address or its address", () => {
    for (const twin of [
      { vm: { name: "b" }, mac: nic.mac, host: 11 },
      { vm: { name: "b" }, mac: "52:54:00:00:00:02", host: 10 },
    ])
      expect(() => checkPlace(lan, [twin], vm, nic)).toThrow(
        "vm `b` there has its MAC address or its IP address",
      );
  });

  test("without addresses of ours the network does not matter", () => {
    const { host: _, ...bare } = nic;
    expect(() => checkPlace({ ...lan, network4: "10.89.0.0/24" }, [], vm, bare)).not.toThrow();
  });
});

test("a bridge in an index is known by its shape", () => {
  const conditions = { whole: {}, directed: [], cuts: [], isolated: [] };
  const saved = {
    name: "lan",
    options: { subnet: "10.1.2.0/24", seed: "1" },
    conditions,
    routes: [],
    uplink: false,
  };
  expect(isSavedBridge(saved)).toBe(true);
  for (const broken of [
    null,
    5,
    { ...saved, name: 1 },
    { ...saved, conditions: {} },
    { ...saved, routes: "wan" },
  ])
    expect(isSavedBridge(broken)).toBe(false);
});

import { describe, expect, test } from "bun:test";
import {
  address6Of,
  addressOf,
  defaultSubnet,
  lastGuest,
  netmaskOf,
  networkOf,
  overlaps,
  parseSubnet,
  stableMac,
} from "../../../src/lab/subnet.ts";

describe("subnets", () => {
  test("each bridge without a wish gets the next network", () => {
    expect([0, 1, 256].map((index) => networkOf(defaultSubnet(index)))).toEqual([
      "10.89.0.0/24",
      "10.89.1.0/24",
      "10.90.0.0/24",
    ]);
  });

  test("addresses count from the start of the network", () => {
    const subnet = parseSubnet("192.168.4.0/22");
    expect([addressOf(subnet, 1), addressOf(subnet, 300), netmaskOf(subnet), lastGuest(subnet)]).toEqual([
      "192.168.4.1",
      "192.168.5.44",
      "255.255.252.0",
      1022,
    ]);
    expect(address6Of(subnet, 10)).toBe("fd70:c0a8:400:7600::a");
  });

  test("networks overlap when one holds the other", () => {
    const large = parseSubnet("10.0.0.0/8");
    expect(overlaps(large, parseSubnet("10.1.2.0/24"))).toBe(true);
    expect(overlaps(parseSubnet("10.1.2.0/24"), parseSubnet("10.1.3.0/24"))).toBe(false);
  });

  for (const [text, why] of [
    ["10.1.2.0", "must be an IPv4 network"],
    ["10.1.2.3/24", "whose network is 10.1.2.0/24"],
    ["10.1.2.0/30", "the length goes from /8 to /28"],
    ["300.1.2.0/24", "must be an IPv4 network"],
    ["fd00::/64", "must be an IPv4 network"],
    ["127.0.0.0/8", "no ordinary addresses"],
    ["224.0.0.0/8", "no ordinary addresses"],
    ["", "must be an IPv4 network"],
  ] as const)
    test(`"${text}" is refused: ${why}`, () => expect(() => parseSubnet(text)).toThrow(why));
});

describe("MAC addresses", () => {
  test("depend on the names alone", () => {
    expect(stableMac("lan", "a", new Set())).toBe(stableMac("lan", "a", new Set()));
    expect(stableMac("lan", "a", new Set())).not.toBe(stableMac("wan", "a", new Set()));
    expect(stableMac("lan", "a", new Set())).toMatch(/^52:54:00(:[0-9a-f]{2}){3}$/);
  });

  test("one that is taken is passed over", () => {
    const first = stableMac("lan", "a", new Set());
    expect(stableMac("lan", "a", new Set([first]))).not.toBe(first);
  });
});

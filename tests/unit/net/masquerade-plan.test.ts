import { describe, expect, test } from "bun:test";
import { parseSubnet } from "../../../src/lab/subnet.ts";
import {
  defaultDevice,
  hostTable,
  routerLinks,
  routerRules,
  transitOf,
  upstreamResolver,
} from "../../../src/net/masquerade-plan.ts";

const subnet = parseSubnet("10.1.2.0/24");
const transit = transitOf(7);

/** /proc/net/route with the given lines of device, destination, gateway, flags, metric and mask. */
const routes = (...lines: readonly (readonly string[])[]): string =>
  [
    "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT",
    ...lines.map(([device, destination, gateway, flags, metric, mask]) =>
      [device, destination, gateway, flags, 0, 0, metric, mask, 0, 0, 0].join("\t"),
    ),
    "",
  ].join("\n");

describe("the network between a router and the host", () => {
  test("belongs to the device alone, within the range for tests", () => {
    expect(transit).toEqual({
      network: "198.18.0.28/30",
      outside: "198.18.0.29",
      inside: "198.18.0.30",
    });
    expect(transitOf(32_767).network).toBe("198.19.255.252/30");
    expect(transitOf(32_768)).toEqual(transitOf(0));
  });
});

describe("the router", () => {
  test("is at the uplink's address and at the resolver's, and its way on is the host", () => {
    const links = routerLinks(subnet, transit);
    expect(links).toContain("address add 10.1.2.2/24 dev lan");
    expect(links).toContain("address add 10.1.2.3/24 dev lan");
    expect(links.at(-1)).toBe("route add default via 198.18.0.29");
  });

  test("lets nothing in that was not asked for", () => {
    const rules = routerRules(subnet, transit, undefined).map((line) => line.trim());
    expect(rules).toContain("type filter hook forward priority 0; policy drop");
    expect(rules.filter((rule) => rule.startsWith('iifname "wan"'))).toEqual([
      'iifname "wan" oifname "lan" ct state established,related accept',
    ]);
  });

  test("hands questions for names on where the host knows whom to ask", () => {
    const asking = (resolver?: string) =>
      routerRules(subnet, transit, resolver).filter((line) => line.includes("dport 53"));
    expect(asking()).toEqual([]);
    expect(asking("192.0.2.53").map((line) => line.trim())).toEqual([
      'iifname "lan" ip daddr 10.1.2.3 udp dport 53 dnat to 192.0.2.53',
      'iifname "lan" ip daddr 10.1.2.3 tcp dport 53 dnat to 192.0.2.53',
    ]);
  });

  test("is known to the host by a table that goes with its owner", () => {
    const [line] = hostTable("pv01", transit);
    expect(line).toMatch(/^table ip pv01 \{ flags owner; /);
    expect(line).toContain('ip saddr 198.18.0.28/30 oifname != "pv01" masquerade');
  });
});

describe("the host's default route", () => {
  const lan = ["eth0", "000200C0", "00000000", "0001", "0", "00FFFFFF"] as const;

  test("is the one with the least metric", () => {
    const wifi = ["wlan0", "00000000", "0100A8C0", "0003", "600", "00000000"];
    const cable = ["eth0", "00000000", "010200C0", "0003", "100", "00000000"];
    expect(defaultDevice(routes(wifi, lan, cable))).toBe("eth0");
  });

  test("is none without a gateway, and none that refuses", () => {
    const unreachable = ["lo", "00000000", "00000000", "0201", "0", "00000000"];
    const half = ["tun0", "00000000", "00000000", "0001", "0", "00000080"];
    expect(defaultDevice(routes(lan, unreachable, half))).toBeUndefined();
    expect(defaultDevice("")).toBeUndefined();
  });
});

describe("the name server to ask", () => {
  test("is the first that is reachable from elsewhere", () => {
    const stub = "nameserver 127.0.0.53\noptions edns0\n";
    const real =
      "# made by systemd-resolved\nnameserver 2001:db8::1\nnameserver 192.0.2.1\nnameserver 192.0.2.2\n";
    expect(upstreamResolver([stub, real])).toBe("192.0.2.1");
    expect(upstreamResolver([stub, ""])).toBeUndefined();
  });
});

/**
 * A way out through the host's kernel: a router in a network namespace of its own, one leg on the bridge, one on the
 * host. Packets leave the router as its own and the host as the host's, so nobody outside hears of the test's
 * addresses, which two runs may have alike.
 *
 * What stands on the host ends with its processes, however these end: the link with the router's namespace, the
 * rule with the `nft` that owns its table (nft(8), "owner"; Linux 5.12).
 */

import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { HostError } from "../errors/errors.ts";
import type { Uplink } from "../lab/network-host.ts";
import type { Subnet } from "../lab/subnet.ts";
import { closeFd, pipePair, writeSome } from "../sys/libc.ts";
import { after, monotonic, type Op } from "../sys/op.ts";
import type { Child } from "../sys/process.ts";
import type { BackendBridge } from "./backend.ts";
import { KernelBridge } from "./kernel.ts";
import type { DevicePort } from "./kernel-port.ts";
import {
  defaultDevice,
  hostLinks,
  hostTable,
  INNER,
  OUTER,
  routerLinks,
  routerRules,
  transitOf,
  upstreamResolver,
} from "./masquerade-plan.ts";
import { Namespace } from "./namespace.ts";
import { COMMAND_MS, NetworkTools, type ToolHost, toolHost } from "./network-tools.ts";

const MAC = "52:54:02:00:00:02";
const RESOLVERS = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];

const contents = (path: string): string => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
};

const onHost = (host: ToolHost): NetworkTools => new NetworkTools(host, process.pid, "on the host");

/** Why packets cannot leave this way, with what can be done about it; undefined where they can. */
export const masqueradeRefusal = (bridge: BackendBridge): { why: string; hint: string } | undefined => {
  if (!(bridge instanceof KernelBridge))
    return { why: "the userland switch carries the frames", hint: "run with --network kernel" };
  if (process.geteuid?.() !== 0) return { why: "it needs root", hint: 'use "user", which needs no rights' };
  const device = defaultDevice(contents("/proc/self/net/route"));
  if (device === undefined) return { why: "this host has no default route", hint: "" };
  const setting = `net/ipv4/conf/${device}/forwarding`;
  if (contents(`/proc/sys/${setting}`).trim() === "1") return undefined;
  return {
    why: `this host does not forward packets (${setting.replaceAll("/", ".")} is 0)`,
    hint: "sysctl -w net.ipv4.ip_forward=1, for as long as the host should; the test does not change the host",
  };
};

/** Whether rules of the host's own decide on forwarded packets, so that nobody knows whether ours would pass. */
export const hostFilters = function* (host: ToolHost): Op<boolean> {
  if (contents("/proc/self/net/ip_tables_names").includes("filter")) return true;
  return (yield* onHost(toolHost(host)).run(["nft", "list", "chains"])).includes("hook forward");
};

/** The process that owns the host's table. The table stands when this returns. */
const owning = function* (
  tools: NetworkTools,
  directory: string,
  table: string,
  lines: readonly string[],
): Op<() => void> {
  const [theirs, ours] = pipePair();
  let child: Child | undefined;
  const close = (): void => {
    child?.close();
    closeFd(ours);
  };
  try {
    // It writes down what it was told, at home.
    child = tools.start(["env", `HOME=${directory}`, "nft", "-i"], [{ from: theirs, to: 0 }]);
    writeSome(ours, new TextEncoder().encode(`${lines.join("\n")}\n`));
    // It says nothing of what went well.
    for (const deadline = after(COMMAND_MS); ; )
      try {
        yield* tools.run(["nft", "list", "table", "ip", table]);
        return close;
      } catch (error) {
        if (!(error instanceof HostError)) throw error;
        const said = child.output().trim();
        if (said !== "" || child.exit !== undefined || monotonic() > deadline)
          throw new HostError(`nft did not make the host's table: ${said || error.message}`);
      }
  } catch (error) {
    close();
    throw error;
  } finally {
    closeFd(theirs);
  }
};

export const openMasquerade = function* (bridge: KernelBridge, subnet: Subnet, given: ToolHost): Op<Uplink> {
  const host = toolHost(given);
  const outside = onHost(host);
  const router = yield* Namespace.open(host);
  const ends = [() => router.close()];
  const abandon = (): void => {
    for (const end of ends.splice(0).reverse()) end();
  };
  let port: DevicePort | undefined;
  try {
    const cable = yield* bridge.openCable(INNER, MAC, router.pid);
    port = cable;
    const device = `pv${randomBytes(5).toString("hex")}`;
    yield* outside.batch("ip", [`link add name ${device} type veth peer name ${OUTER} netns ${router.pid}`]);
    const [link] = JSON.parse(yield* outside.run(["ip", "-json", "link", "show", "dev", device]));
    const transit = transitOf(link.ifindex);
    yield* outside.batch("ip", hostLinks(device, transit));
    writeFileSync(`/proc/sys/net/ipv4/conf/${device}/forwarding`, "1");
    yield* router.batch("ip", routerLinks(subnet, transit));
    const resolver = upstreamResolver(RESOLVERS.map(contents));
    yield* router.batch("nft", routerRules(subnet, transit, resolver));
    ends.push(yield* owning(outside, host.directory, device, hostTable(device, transit)));
    return {
      way: "masquerade",
      port: cable.id,
      *close() {
        abandon();
        yield* cable.close();
      },
      abandon,
    };
  } catch (error) {
    abandon();
    if (port !== undefined) yield* port.close();
    throw error;
  }
};

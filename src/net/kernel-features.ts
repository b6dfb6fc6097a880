/** What the host's kernel and tools can do for bridges, found out by trying it in a namespace of its own. */

import { HostError } from "../errors/errors.ts";
import { closeFd } from "../sys/libc.ts";
import type { Op } from "../sys/op.ts";
import type { Namespace } from "./namespace.ts";

export type KernelFeature = "bridge" | "tun" | "nft" | "htb" | "netem";

/** How a missing one is called. */
export const FEATURE_MODULES: Readonly<Record<KernelFeature, string>> = {
  bridge: "bridge (or the program `ip` is missing)",
  tun: "tun (or /dev/net/tun cannot be opened)",
  nft: "nf_tables for bridges (or the program `nft` is missing)",
  htb: "sch_htb with cls_u32 (or the program `tc` is missing)",
  netem: "sch_netem",
};

export class Features {
  /** What was said where something is missing. */
  private readonly refusals = new Map<KernelFeature, HostError>();

  has(feature: KernelFeature): boolean {
    return !this.refusals.has(feature);
  }

  lacks(feature: KernelFeature, why: HostError): void {
    this.refusals.set(feature, why);
  }

  /** The error of a test that asks for `what`, which needs the missing feature. */
  refusal(feature: KernelFeature, what: string): HostError {
    return new HostError(`this kernel has no ${FEATURE_MODULES[feature]}: ${what} \`--network user\``, {
      cause: this.refusals.get(feature),
    });
  }

  get missing(): readonly KernelFeature[] {
    return [...this.refusals.keys()];
  }
}

const DEVICE = "probe0";

const NFT_PROBE = [
  "table bridge probe {",
  " chain forward {",
  "  type filter hook forward priority 0",
  `  iifname "a" oifname "b" numgen random mod 10 < 1 drop`,
  " }",
  "}",
  "delete table bridge probe",
];

/** Tries every feature. Throws HostError only when the namespace itself does not work. */
export function* probeFeatures(namespace: Namespace): Op<Features> {
  const features = new Features();
  const attempt = function* (feature: KernelFeature, work: Op<unknown>): Op<void> {
    try {
      yield* work;
    } catch (error) {
      if (!(error instanceof HostError) || namespace.death !== undefined) throw error;
      features.lacks(feature, error);
    }
  };
  yield* attempt("tun", tap(namespace));
  yield* attempt("bridge", namespace.batch("ip", [`link add name ${DEVICE} type bridge`]));
  yield* attempt("nft", namespace.batch("nft", NFT_PROBE));
  if (!features.has("bridge")) return features;
  yield* attempt(
    "htb",
    namespace.batch("tc", [
      `qdisc add dev ${DEVICE} root handle 1: htb`,
      `class add dev ${DEVICE} parent 1: classid 1:1 htb rate 1mbit`,
      `filter add dev ${DEVICE} parent 1: protocol all prio 1 u32 match ether src 52:54:00:00:00:01 flowid 1:1`,
      `qdisc del dev ${DEVICE} root`,
    ]),
  );
  yield* attempt("netem", namespace.batch("tc", [`qdisc add dev ${DEVICE} root netem delay 1ms`]));
  yield* namespace.run(["ip", "link", "del", DEVICE]);
  return features;
}

function* tap(namespace: Namespace): Op<void> {
  closeFd(yield* namespace.tap("probe1"));
}

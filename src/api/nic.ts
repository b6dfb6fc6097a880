/** The Lua object `Nic`: one VM on one bridge. */

import { ApiError } from "../errors/errors.ts";
import { suggestion } from "../errors/suggest.ts";
import type { Attachment } from "../lab/attachment.ts";
import type { Bridge } from "../lab/bridge.ts";
import { defineClass, method } from "../lua/native.ts";
import { noPort, startCapture } from "./capture.ts";
import type { Api } from "./context.ts";
import { type VmMethods, vmMethod } from "./handles.ts";

export class Nic {
  constructor(
    readonly api: Api,
    readonly bridge: Bridge,
    readonly vmName: string,
  ) {}

  /** Throws ApiError when the VM is not attached any more. */
  attachment(call: string): Attachment {
    return this.bridge.attachment(this.vmName, call);
  }
}

const nicMethod = method<Nic>;

defineClass<Nic>({
  name: "Nic",
  of: Nic,
  doc: "The network interface of a VM on a bridge. Counters and addresses are the guest's.",
  methods: {
    counters: nicMethod(
      "(): {rx_bytes, tx_bytes, rx_packets, tx_packets, errors: integer}",
      "What the guest has received and sent since it was attached or booted; zeros before.",
      function* (self) {
        const counted = yield* self.bridge.counters(self.vmName, "nic:counters");
        return {
          rx_bytes: counted.rxBytes,
          tx_bytes: counted.txBytes,
          rx_packets: counted.rxPackets,
          tx_packets: counted.txPackets,
          errors: counted.errors,
        };
      },
    ),
    capture: nicMethod("(): Capture", "Records what the guest sends and receives here.", function* (self) {
      const attachment = self.bridge.expects(self.vmName) ? undefined : self.attachment("nic:capture");
      if (attachment?.portId === undefined || !attachment.vm.running)
        throw noPort("nic:capture", self.vmName, self.bridge.name);
      return yield* startCapture(self.api, self.bridge, attachment);
    }),
    disconnect: nicMethod(
      "()",
      "Pulls the cable: the guest sees no carrier and nothing passes. Repeatable.",
      function* (self) {
        yield* self.bridge.connect(self.vmName, false, "nic:disconnect");
      },
    ),
    reconnect: nicMethod("()", "Puts the cable back. Repeatable.", function* (self) {
      yield* self.bridge.connect(self.vmName, true, "nic:reconnect");
    }),
    is_connected: nicMethod("(): boolean", "Whether the cable is in.", (self) =>
      self.bridge.connected(self.vmName, "nic:is_connected"),
    ),
    mac: nicMethod("(): string", "The hardware address.", (self) => self.attachment("nic:mac").mac),
    ip: nicMethod(
      "(): string|nil",
      'The IPv4 address; nil with addressing = "none".',
      (self) => self.attachment("nic:ip").ip ?? null,
    ),
    ip6: nicMethod(
      "(): string|nil",
      'The unique local IPv6 address; nil with addressing = "none".',
      (self) => self.attachment("nic:ip6").ip6 ?? null,
    ),
    interface: nicMethod(
      "(): string|nil",
      "The interface's name in the guest, once it was set up there.",
      (self) => self.attachment("nic:interface").interfaceName ?? null,
    ),
    vm_name: nicMethod("(): string", "The VM's name.", (self) => self.vmName),
    bridge: nicMethod("(): string", "The bridge's name.", (self) => self.bridge.name),
  },
  equals: (a, b) => a.bridge === b.bridge && a.vmName === b.vmName,
  text: (self) => `nic of vm \`${self.vmName}\` on bridge \`${self.bridge.name}\``,
});

/** Names that a guest may give its interfaces; the number counts attached bridges in the order of their names. */
const GUEST_NAMES: readonly (readonly [pattern: RegExp, first: number])[] = [
  [/^eth(\d+)$/, 0],
  [/^enp0s(\d+)$/, 3],
  [/^ens(\d+)$/, 3],
];

export const NIC_METHODS: VmMethods = {
  nic: vmMethod(
    "(name: string): Nic",
    "Its interface on the bridge of that name; `eth0`, `enp0s3` or `ens3` is that on the first bridge by name, and so on.",
    (self, args) => {
      const name = args.text(1, "name");
      const attached = self.api.scopes.network.attachmentsOf(self.vm);
      const named = attached.find(({ bridge }) => bridge.name === name);
      if (named !== undefined) return new Nic(self.api, named.bridge, self.vm.name);
      for (const [pattern, first] of GUEST_NAMES) {
        const index = Number(pattern.exec(name)?.[1] ?? Number.NaN) - first;
        const found = attached[index];
        if (found !== undefined) return new Nic(self.api, found.bridge, self.vm.name);
      }
      const known = attached.flatMap(({ bridge }, index) => [bridge.name, `eth${index}`]);
      throw new ApiError(
        `vm:nic: ${self.vm.label} has no interface \`${name}\` (${suggestion(name, known)})`,
        {
          hint: "Attach the VM to a bridge: bridge:attach(vm).",
        },
      );
    },
  ),
};

/** The Lua object `Bridge`: membership, routes and captures. What is wrong on it by wish is in impairments.ts. */

import { ApiError } from "../errors/errors.ts";
import { suggestion } from "../errors/suggest.ts";
import type { Bridge } from "../lab/bridge.ts";
import type { Lab } from "../lab/lab.ts";
import type { UplinkWay } from "../lab/network-host.ts";
import type { Vm } from "../lab/vm.ts";
import type { Args } from "../lua/args.ts";
import { describe } from "../lua/describe.ts";
import { defineClass, type Method, method } from "../lua/native.ts";
import { LuaTable } from "../lua/table.ts";
import type { LuaValue } from "../lua/values.ts";
import { startCapture } from "./capture.ts";
import type { Api } from "./context.ts";
import { VmHandle } from "./handles.ts";
import { Nic } from "./nic.ts";

export class BridgeHandle {
  private static readonly known = new WeakMap<Bridge, BridgeHandle>();

  private constructor(
    readonly api: Api,
    readonly bridge: Bridge,
    /** Where it was reached first: names of VMs are looked up there. */
    private readonly lab: Lab,
  ) {}

  static of(api: Api, bridge: Bridge, lab: Lab): BridgeHandle {
    let handle = BridgeHandle.known.get(bridge);
    if (handle === undefined) {
      handle = new BridgeHandle(api, bridge, lab);
      BridgeHandle.known.set(bridge, handle);
    }
    return handle;
  }

  /** The VM of that name, where there is one: among the members, in its lab, in the lab that runs now. */
  findVm(name: string): Vm | undefined {
    const member = this.bridge.attachments().find(({ vm }) => vm.name === name);
    return member?.vm ?? this.lab.findVm(name) ?? this.api.scopes.current.lab.findVm(name);
  }

  /** The bridge of that name, in its lab or in the lab that runs now. Throws ApiError naming the known ones. */
  findBridge(name: string): Bridge {
    return this.lab.findBridge(name) ?? this.api.scopes.current.lab.bridge(name);
  }
}

const decoder = new TextDecoder();

/** The name that a VM or a string stands for. `refuse` raises about anything else, where `wanted` is what could be there. */
export const memberName = (
  bridge: Bridge,
  value: LuaValue,
  refuse: (text: string) => never,
  wanted = "a vm or its name",
): string => {
  if (value instanceof VmHandle) {
    const { name } = value.vm;
    const member = bridge.attachments().find(({ vm }) => vm.name === name);
    // VMs of different labs may be called alike.
    return member === undefined || member.vm === value.vm
      ? name
      : refuse(`not this vm but another one called \`${name}\` is attached to ${bridge.label}`);
  }
  if (value instanceof Uint8Array && value.length > 0) return decoder.decode(value);
  return refuse(`${wanted} expected, got ${describe(value)}`);
};

/** The name of a member, given as a VM or a string. */
export const memberArgument = ({ bridge }: BridgeHandle, args: Args, i: number): string =>
  memberName(bridge, args.any(i), (text) => args.fail(i, text));

export type BridgeMethods = Readonly<Record<string, Method<BridgeHandle>>>;
export const bridgeMethod = method<BridgeHandle>;

const listed = (value: LuaValue): readonly LuaValue[] =>
  value instanceof LuaTable ? value.items() : [value];

export const MEMBERSHIP_METHODS: BridgeMethods = {
  attach: bridgeMethod(
    "(vm: VM|string|(VM|string)[])",
    "Attaches VMs, each with an interface of its own: at once where the VM runs, else from its boot on. A name that no VM has yet is kept for the VM that gets it. All are checked before the first is attached.",
    function* (self, args) {
      const given = args.any(1);
      const vms = listed(given).map((value) => {
        if (value instanceof VmHandle) return value.vm;
        const refuse = (text: string): never => args.fail(1, text);
        const name = memberName(self.bridge, value, refuse, "a vm, its name or an array of them");
        return self.findVm(name) ?? name;
      });
      yield* self.bridge.attach(vms);
    },
  ),
  detach: bridgeMethod(
    "(vm: VM|string)",
    "Takes the VM's interface away, also what was set for its directions. Raises when it is not attached.",
    function* (self, args) {
      yield* self.bridge.detach(memberArgument(self, args, 1));
    },
  ),
  members: bridgeMethod("(): string[]", "Names of the attached VMs.", (self) => self.bridge.members()),
  name: bridgeMethod("(): string", "The bridge's name.", (self) => self.bridge.name),
  nic: bridgeMethod("(vm: VM|string): Nic", "The interface of a member.", (self, args) => {
    const name = memberArgument(self, args, 1);
    if (!self.bridge.members().includes(name)) self.bridge.attachment(name, "bridge:nic");
    return new Nic(self.api, self.bridge, name);
  }),
  ip: bridgeMethod(
    "(vm?: VM|string): string|nil",
    'The IPv4 address of a member, or of the bridge itself without one; nil with addressing = "none".',
    (self, args) => {
      if (!args.absent(1))
        return self.bridge.attachment(memberArgument(self, args, 1), "bridge:ip").ip ?? null;
      return self.bridge.addressing === "none" ? null : self.bridge.gateway;
    },
  ),
  ip6: bridgeMethod(
    "(vm?: VM|string): string|nil",
    'The unique local IPv6 address of a member, or of the bridge itself without one; nil with addressing = "none".',
    (self, args) => {
      if (!args.absent(1))
        return self.bridge.attachment(memberArgument(self, args, 1), "bridge:ip6").ip6 ?? null;
      return self.bridge.addressing === "none" ? null : self.bridge.gateway6;
    },
  ),
  subnet: bridgeMethod(
    "(): string",
    'Its IPv4 network, as in "10.89.0.0/24".',
    (self) => self.bridge.network4,
  ),
  mtu: bridgeMethod("(): integer", "The largest packet that passes, in bytes.", (self) => self.bridge.mtu),
  backend: bridgeMethod(
    "(): string|nil",
    "What carries the frames: `kernel` or `user`; nil before any VM was plugged in.",
    (self) => self.api.scopes.network.kind ?? null,
  ),
  close: bridgeMethod("()", "Detaches every VM and ends the bridge. Repeatable.", function* (self) {
    yield* self.api.scopes.closeBridge(self.bridge);
  }),
};

/** The bridges that the argument names. */
const otherBridges = (self: BridgeHandle, args: Args): Bridge[] => {
  const refuse = (got: string): never =>
    args.fail(1, `a bridge, its name or an array of them expected, got ${got}`);
  const others = listed(args.any(1)).map((value) => {
    if (value instanceof BridgeHandle) return value.bridge;
    return value instanceof Uint8Array ? self.findBridge(decoder.decode(value)) : refuse(describe(value));
  });
  return others.length === 0 ? refuse("an empty table") : others;
};

const WAYS: readonly UplinkWay[] = ["masquerade", "user"];

const uplinkWay = (text: string): UplinkWay => {
  const way = WAYS.find((known) => known === text);
  if (way === undefined)
    throw new ApiError(`bridge:enable_uplink: no way "${text}" (${suggestion(text, WAYS)})`);
  return way;
};

export const BEYOND_METHODS: BridgeMethods = {
  route: bridgeMethod(
    "(bridge: Bridge|string|(Bridge|string)[])",
    "Lets IPv4 and IPv6 packets pass between this bridge and others, both ways; guests get the routes.",
    function* (self, args) {
      yield* self.bridge.beyond.route(otherBridges(self, args));
    },
  ),
  unroute: bridgeMethod(
    "(bridge: Bridge|string|(Bridge|string)[])",
    "Ends such routes, and takes them from the guests. Repeatable.",
    function* (self, args) {
      yield* self.bridge.beyond.unroute(otherBridges(self, args));
    },
  ),
  routes: bridgeMethod("(): string[]", "Names of the bridges that it routes to.", (self) =>
    self.bridge.beyond.routes(),
  ),
  enable_uplink: bridgeMethod(
    "(way?: string)",
    'A way out: guests reach what the host reaches, and nothing from there reaches them unasked. `"masquerade"` goes through the host\'s kernel (root, `--network kernel`, a host that forwards packets), `"user"` through QEMU\'s user networking. Without `way`: the former where it can be had and no firewall rule of the host concerns forwarded packets, else the latter.',
    function* (self, args) {
      yield* self.bridge.beyond.enableUplink(args.absent(1) ? undefined : uplinkWay(args.text(1, "way")));
    },
  ),
  disable_uplink: bridgeMethod("()", "Ends the way out. Repeatable.", function* (self) {
    yield* self.bridge.beyond.disableUplink();
  }),
  has_uplink: bridgeMethod(
    "(): boolean",
    "Whether there is a way out.",
    (self) => self.bridge.beyond.way !== undefined,
  ),
  uplink: bridgeMethod(
    "(): string|nil",
    'How packets get out: `"masquerade"` or `"user"`; nil where there is no way out.',
    (self) => self.bridge.beyond.way ?? null,
  ),
  capture: bridgeMethod("(): Capture", "Records everything that passes on the bridge.", function* (self) {
    return yield* startCapture(self.api, self.bridge, undefined);
  }),
};

/** Declares the class with all its methods, those of other files included. */
export const defineBridge = (more: BridgeMethods): void => {
  defineClass<BridgeHandle>({
    name: "Bridge",
    of: BridgeHandle as never as abstract new () => BridgeHandle,
    doc: "An Ethernet segment between VMs.",
    methods: { ...MEMBERSHIP_METHODS, ...more, ...BEYOND_METHODS },
    equals: (a, b) => a.bridge === b.bridge,
    text: (self) => self.bridge.label,
  });
};

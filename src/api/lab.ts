/** The Lua object `lab`. `provium` is one too: its lab is that of the running test, or the file's root. */

import { ApiError } from "../errors/errors.ts";
import type { Bridge } from "../lab/bridge.ts";
import type { Lab } from "../lab/lab.ts";
import { parseBootOptions } from "../lab/options.ts";
import { memorySize } from "../lab/quantities.ts";
import type { Vm } from "../lab/vm.ts";
import type { Args } from "../lua/args.ts";
import { describe } from "../lua/describe.ts";
import { defineClass, type Method, method } from "../lua/native.ts";
import { own } from "../lua/own.ts";
import { LuaTable } from "../lua/table.ts";
import type { LuaValue } from "../lua/values.ts";
import type { Op } from "../sys/op.ts";
import { durationMs, optionTable, unwrapped } from "./arguments.ts";
import { BridgeHandle } from "./bridge.ts";
import type { Api } from "./context.ts";
import { fixtureFunctions } from "./fixture.ts";
import { VmHandle } from "./handles.ts";
import { LAB_SNAPSHOT_METHODS } from "./lab-snapshot.ts";

const BARRIER_MS = 60_000;

export class LabHandle {
  private static readonly known = new WeakMap<Lab, LabHandle>();
  /** `vm_fixture` and `lab_fixture`. */
  readonly fixtures = fixtureFunctions(this, (lab) => LabHandle.of(this.api, lab));

  protected constructor(
    readonly api: Api,
    private readonly own: Lab | undefined,
  ) {}

  static of(api: Api, lab: Lab): LabHandle {
    let handle = LabHandle.known.get(lab);
    if (handle === undefined) {
      handle = new LabHandle(api, lab);
      LabHandle.known.set(lab, handle);
    }
    return handle;
  }

  get lab(): Lab {
    return this.own ?? this.api.scopes.current.lab;
  }

  /** The VM, bridge or sub-lab of that name, as Lua sees it. */
  member(name: string): VmHandle | BridgeHandle | LabHandle | undefined {
    const vm = this.lab.findVm(name);
    if (vm !== undefined) return VmHandle.of(this.api, vm, "lab");
    const bridge = this.lab.findBridge(name);
    if (bridge !== undefined) return BridgeHandle.of(this.api, bridge, this.lab);
    const lab = this.lab.findLab(name);
    return lab === undefined ? undefined : LabHandle.of(this.api, lab);
  }
}

type LabMethods = Readonly<Record<string, Method<LabHandle>>>;
const labMethod = method<LabHandle>;

const vmOf = (self: LabHandle, args: Args): VmHandle => {
  const name = args.text(1, "name");
  if (args.absent(2)) {
    if (!args.absent(3)) args.fail(2, "profile: string expected, since options were given");
    return VmHandle.of(self.api, self.lab.vm(name), "lab");
  }
  const profile = args.text(2, "profile");
  const table = args.optTable(3, "vm: opts");
  const resolve = (path: string): string => self.api.hostPath(path, "lab");
  const options = parseBootOptions(table && optionTable(table), { call: "vm", flavour: "lab", resolve });
  return VmHandle.of(self.api, self.api.scopes.createVm(self.lab, name, profile, options), "lab");
};

const bridgeOf = (self: LabHandle, args: Args): BridgeHandle => {
  const name = args.text(1, "name");
  const table = args.optTable(2, "bridge: opts");
  const { lab, api } = self;
  const found = lab.findBridge(name);
  if (found !== undefined && table !== undefined)
    throw new ApiError(`bridge: \`${name}\` exists already; its options are those it was made with`);
  const bridge = found ?? api.scopes.createBridge(lab, name, table && optionTable(table));
  return BridgeHandle.of(api, bridge, lab);
};

/** What a lab has as a member, behind the handle that Lua holds. */
const memberOf = (value: LuaValue): Vm | Bridge | Lab | undefined => {
  if (value instanceof VmHandle) return value.vm;
  if (value instanceof BridgeHandle) return value.bridge;
  return value instanceof LabHandle ? value.lab : undefined;
};

/** Adds one VM, bridge or lab, or all of an array. */
const include = (self: LabHandle, args: Args): void => {
  const given = args.any(1);
  const wanted: LuaValue[] = given instanceof LuaTable ? given.items() : [given];
  const members = wanted.map(
    (value, i) =>
      memberOf(value) ??
      args.fail(
        1,
        `a vm, a bridge, a lab or an array of them expected, got ${given === value ? "" : `[${i + 1}] = `}${describe(value)}`,
      ),
  );
  self.lab.include(members);
};

const claim = (self: LabHandle, args: Args): Op<void> => {
  if (self.api.recorder !== undefined)
    throw new ApiError("claim: a fixture states no claim", {
      hint: "Its machines draw what they need when they boot; the file that uses it may claim.",
    });
  const table = args.table(1, "claim");
  table.only(["memory", "cpus"]);
  const memory = table.get("memory");
  return self.api.scopes.claim(
    memory === undefined ? 0 : memorySize(unwrapped(memory), "lab", "claim: memory"),
    table.optCount("cpus") ?? 0,
  );
};

export const LAB_METHODS: LabMethods = {
  vm: labMethod(
    "(name: string, profile?: string, opts?: BootOptions): VM",
    "With a profile: a new VM of that name, not booted. Without: the VM of that name, in a test also one of the file.",
    vmOf,
  ),
  bridge: labMethod(
    '(name: string, opts?: {subnet?: string, addressing?: "auto"|"none", dhcp?: boolean, mtu?: integer, seed?: integer}): Bridge',
    "The bridge of that name, made when there is none. Options: see Networks.",
    bridgeOf,
  ),
  lab: labMethod(
    "(name?: string): lab",
    "The sub-lab of that name, made when there is none; without a name a new one.",
    (self, args) => LabHandle.of(self.api, self.lab.lab(args.optText(1, "name"))),
  ),
  boot: labMethod(
    "(opts?: {recursive?: boolean}): lab",
    "Boots every VM of the lab that does not run, side by side; with `recursive` those of its sub-labs too. Returns the lab.",
    function* (self, args) {
      const opts = args.optTable(1, "boot: opts");
      opts?.only(["recursive"]);
      yield* self.lab.boot(opts?.optBoolean("recursive") ?? false);
      return self;
    },
  ),
  shutdown: labMethod("()", "Shuts down every VM of the lab.", function* (self) {
    yield* self.lab.shutdown();
  }),
  pause: labMethod("()", "Pauses every VM of the lab; each must be booted.", function* (self) {
    yield* self.lab.pause();
  }),
  resume: labMethod("()", "Resumes every VM of the lab; each must be paused.", function* (self) {
    yield* self.lab.resume();
  }),
  ...LAB_SNAPSHOT_METHODS,
  include: labMethod(
    "(member: VM|Bridge|lab|(VM|Bridge|lab)[])",
    "Adds VMs, bridges and labs made elsewhere.",
    include,
  ),
  remove: labMethod(
    "(member: string|VM|Bridge|lab)",
    "Takes a member out of the lab; it goes on running.",
    (self, args) => {
      if (args.type(1) === "string") return self.lab.remove(args.text(1));
      const member = memberOf(args.any(1));
      self.lab.remove(member ?? args.fail(1, `name, vm, bridge or lab expected, got ${args.described(1)}`));
    },
  ),
  members: labMethod(
    "(): {kind: string, name: string}[]",
    'Its members; kind is "vm", "bridge" or "sub_lab".',
    (self) => self.lab.members().map(({ kind, name }) => ({ kind, name })),
  ),
  vm_names: labMethod("(): string[]", "Names of its VMs.", (self) => self.lab.vmNames()),
  bridge_names: labMethod("(): string[]", "Names of its bridges.", (self) => self.lab.bridgeNames()),
  sub_lab_names: labMethod("(): string[]", "Names of its sub-labs.", (self) => self.lab.labNames()),
  name: labMethod("(): string", 'The lab\'s name; "provium" for the root.', (self) => self.lab.name),
  claim: labMethod(
    "(amount: {memory?: size, cpus?: integer})",
    "States once what the file needs: waits until the pool has it, and keeps it to the end of the file; machines draw on it. A claim of literals at the top of the file is reserved before the file starts.",
    claim,
  ),
  barrier: labMethod(
    "(name: string, count: integer, timeout?: duration): boolean",
    "A meeting point of tasks: waits until `count` callers have arrived at the name in this lab, then true for all of them; the name serves again for the next round. False for a caller whose time (default 60 s) is over first; it counts no more.",
    function* (self, args) {
      const name = args.text(1, "name");
      const count = args.count(2, "count");
      const ms = args.absent(3) ? BARRIER_MS : durationMs(args.any(3), "barrier: timeout");
      return yield* self.lab.barriers.wait(name, count, ms);
    },
  ),
  depends_on_file: labMethod(
    "(path: string)",
    "Names a host file that a fixture depends on: when it changes, the fixture is built anew. A relative path starts at the calling Lua file.",
    (self, args) => {
      const path = self.api.hostPath(args.text(1, "path"), "lab");
      self.api.recorder?.reads(path);
    },
  ),
};

defineClass<LabHandle>({
  name: "lab",
  of: LabHandle as never as abstract new () => LabHandle,
  doc: "A name space of VMs, bridges and sub-labs. `lab.<name>` is the member of that name, or nil.",
  methods: LAB_METHODS,
  get: (self, key) => own(self.api.pack, key) ?? own(self.fixtures, key) ?? self.member(key),
  set: (_self, key) => {
    throw new ApiError(`cannot assign to \`${key}\` of a lab`, {
      hint: "Only `provium` keeps values of your own.",
    });
  },
  text: (self) => `lab \`${self.lab.name}\``,
});

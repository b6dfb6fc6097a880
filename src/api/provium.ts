/**
 * The global `provium`: the root lab, the module of the classic API, and the settings of a file. A name is looked
 * up among the methods, the reserved keys, the settings, VMs, sub-labs, the classic functions, and last what the
 * file itself has assigned.
 */

import { ApiError } from "../errors/errors.ts";
import { RESERVED_NAMES } from "../lab/names.ts";
import type { Args } from "../lua/args.ts";
import { defineClass, fn, type Method, method, type NativeFunction } from "../lua/native.ts";
import { own } from "../lua/own.ts";
import { type LuaValue, luaFloat, results } from "../lua/values.ts";
import { durationMs } from "./arguments.ts";
import type { Api } from "./context.ts";
import { classicFixture } from "./fixture.ts";
import { VmHandle } from "./handles.ts";
import { LAB_METHODS, LabHandle } from "./lab.ts";
import { PCAP_FUNCTIONS } from "./pcap.ts";
import type { ResetBetweenTests } from "./reset.ts";
import { Sys } from "./sys.ts";
import { go, parallel } from "./tasks.ts";

export class Provium extends LabHandle {
  timeoutMs: number | undefined;
  private readonly assigned = new Map<string, LuaValue>();
  private readonly timeoutListeners: ((ms: number | undefined) => void)[] = [];
  private readonly sys: Sys;
  private readonly classic: Readonly<Record<string, NativeFunction>>;

  constructor(
    api: Api,
    /** What becomes of `provium.reset_between_tests`. */
    private readonly reset: ResetBetweenTests,
  ) {
    super(api, undefined);
    this.classic = classicFunctions(this);
    this.sys = new Sys(api);
  }

  onTimeoutSet(listener: (ms: number | undefined) => void): void {
    this.timeoutListeners.push(listener);
  }

  get(key: string): unknown {
    const reserved = own(this.api.pack, key) ?? own(this.fixtures, key);
    if (reserved !== undefined) return reserved;
    if (key === "timeout") return this.timeoutMs === undefined ? undefined : luaFloat(this.timeoutMs / 1000);
    if (key === "reset_between_tests") return this.reset.wanted;
    const member = this.member(key) ?? (key === "sys" ? this.sys : undefined);
    return member ?? own(this.classic, key) ?? own(PCAP_FUNCTIONS, key) ?? this.assigned.get(key);
  }

  set(key: string, args: Args): void {
    const value = args.any(1);
    if (key === "timeout") {
      this.timeoutMs = value === undefined ? undefined : durationMs(value, "provium.timeout");
      for (const listener of this.timeoutListeners) listener(this.timeoutMs);
    } else if (key === "reset_between_tests") this.reset.assign(value);
    else if (RESERVED_NAMES.some((name) => name === key))
      throw new ApiError(
        `cannot assign to \`provium.${key}\`: the name is reserved (${RESERVED_NAMES.join(", ")})`,
      );
    else if (value === undefined) this.assigned.delete(key);
    else this.assigned.set(key, value);
  }

  /** Everything that `pairs` shows: members, classic functions and what the file has assigned. */
  entries(): Map<string, unknown> {
    const entries = new Map<string, unknown>(this.assigned);
    for (const [name, value] of Object.entries({
      ...this.classic,
      ...PCAP_FUNCTIONS,
      ...this.api.pack,
      ...this.fixtures,
      sys: this.sys,
    }))
      entries.set(name, value);
    for (const { name } of this.lab.members()) entries.set(name, this.member(name));
    return entries;
  }
}

/** The functions of the classic module. A colon call drops the receiver. */
export const classicFunctions = (self: Provium): Readonly<Record<string, NativeFunction>> => {
  const name = (args: Args, what: string): string => args.behind(args.any(1) === self).text(1, what);
  return {
    create: fn(
      "create",
      "(profile: string): VM",
      "A VM of the classic API from a profile, not booted. It lasts as long as the file.",
      (args) => {
        const vm = self.api.scopes.createClassicVm(name(args, "profile"));
        return VmHandle.of(self.api, vm, "classic");
      },
    ),
    fixture: fn(
      "fixture",
      "(name: string): VM",
      "A VM of the classic API that comes out of the fixture `fixtures/<name>.lua`, booted. The fixture is built when it is not in the cache. Each call gives a VM of its own, which lasts as long as the file.",
      function* (args) {
        return yield* classicFixture(self.api, name(args, "name"));
      },
    ),
    shutdown_all: fn("shutdown_all", "()", "Shuts down every VM of the file, of both APIs.", function* () {
      yield* self.api.scopes.shutdownAll();
    }),
  };
};

export const TASK_METHODS: Readonly<Record<string, Method<Provium>>> = {
  parallel: method(
    "(...: function): any...",
    "Runs functions side by side and returns the first result of each. The first error ends the others and is raised.",
    (self, args) => parallel(self.api.state, args),
  ),
  go: method(
    "(f: function, ...: any): task",
    "Starts `f(...)` beside the test and returns its task. A task ends with its test at the latest.",
    (self, args) => go(self.api.state, args),
  ),
};

const FIELDS = {
  timeout: {
    type: "number|string",
    doc: 'Deadline of every test of the file: seconds or a text such as "30s".',
  },
} as const;

defineClass<Provium>({
  name: "provium",
  of: Provium,
  doc: "The root lab of a file, with all methods of a lab, and the functions of the classic API.",
  methods: { ...(LAB_METHODS as typeof TASK_METHODS), ...TASK_METHODS },
  get: (self, key) => self.get(key),
  set: (self, key, args) => self.set(key, args),
  fields: FIELDS,
  text: () => "provium",
  meta: {
    __pairs: (self) => results(self.api.state.global("next"), self.entries(), undefined),
  },
});

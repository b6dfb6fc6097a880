/** What can be wrong on a bridge by wish: cut directions, isolated members, slow, lossy and disordered ways. */

import { parseDuration } from "../config/units.ts";
import { ApiError } from "../errors/errors.ts";
import type { Direction } from "../lab/conditions.ts";
import { described } from "../lab/quantities.ts";
import type { Args } from "../lua/args.ts";
import { LuaTable } from "../lua/table.ts";
import { luaFloat } from "../lua/values.ts";
import type { Impairment } from "../net/backend.ts";
import type { Op } from "../sys/op.ts";
import { unwrapped } from "./arguments.ts";
import {
  type BridgeHandle,
  type BridgeMethods,
  bridgeMethod,
  defineBridge,
  memberArgument,
  memberName,
} from "./bridge.ts";

const LONGEST_MS = 600_000;
const FASTEST_BPS = 1e12;

type Reader = (value: unknown, what: string) => number;

const limited = (value: unknown, what: string, most: number, wanted: string, read = value): number => {
  const number = typeof read === "bigint" ? Number(read) : read;
  if (typeof number === "number" && number >= 0 && number <= most) return number;
  throw new ApiError(`${what} must be ${wanted}, got ${described(value)}`);
};

/** Milliseconds of a text with a unit; without one they are what it counts. */
const fromText = (text: string): number | undefined =>
  parseDuration(/[a-z]\s*$/.test(text) ? text : `${text}ms`);

/** Nanoseconds of milliseconds, or of a text with a unit. */
const milliseconds: Reader = (value, what) => {
  const ms = value instanceof Uint8Array ? (fromText(new TextDecoder().decode(value)) ?? null) : value;
  const wanted = `milliseconds from 0 to ${LONGEST_MS}, or a text such as "20ms"`;
  return Math.round(limited(value, what, LONGEST_MS, wanted, ms) * 1e6);
};

const percent: Reader = (value, what) => limited(value, what, 100, "a percentage from 0 to 100") / 100;

const bitsPerSecond: Reader = (value, what) =>
  Math.round(limited(value, what, FASTEST_BPS, `bits per second from 0 (no limit) to ${FASTEST_BPS}`));

/** One thing that can be set, for the whole bridge or for a direction. */
interface Knob {
  readonly quality: keyof Impairment;
  /** The key of its value in a table. */
  readonly key: string;
  readonly read: Reader;
  readonly argument: string;
  readonly doc: string;
  /** Further keys of the table. */
  readonly more?: Readonly<Record<string, { readonly quality: keyof Impairment; readonly read: Reader }>>;
}

const JITTER = { jitter: { quality: "jitterNs", read: milliseconds } } as const;

const KNOBS: Readonly<Record<string, Knob>> = {
  add_latency: {
    quality: "latencyNs",
    key: "ms",
    read: milliseconds,
    argument: "ms: number|string",
    more: JITTER,
    doc: "Makes frames late, one way, by that many milliseconds; `jitter` in the table varies it evenly by as much in both directions.",
  },
  add_jitter: {
    quality: "jitterNs",
    key: "ms",
    read: milliseconds,
    argument: "ms: number|string",
    doc: "Varies the latency of each frame evenly by up to that many milliseconds more or less, never below zero; frames may overtake one another.",
  },
  drop_rate: {
    quality: "loss",
    key: "p",
    read: percent,
    argument: "percent: number",
    doc: "Loses that part of the frames.",
  },
  duplicate_rate: {
    quality: "duplicate",
    key: "p",
    read: percent,
    argument: "percent: number",
    doc: "Delivers that part of the frames twice.",
  },
  reorder_rate: {
    quality: "reorder",
    key: "p",
    read: percent,
    argument: "percent: number",
    doc: "Lets that part of the frames overtake those that are on their way: they are not made late. Needs a latency to show.",
  },
  corrupt_rate: {
    quality: "corrupt",
    key: "p",
    read: percent,
    argument: "percent: number",
    doc: "Flips one bit in that part of the frames.",
  },
  bandwidth_limit: {
    quality: "rateBps",
    key: "bps",
    read: bitsPerSecond,
    argument: "bps: number",
    doc: "Lets through that many bits per second in each direction of each pair.",
  },
};

const directionOf = (self: BridgeHandle, table: LuaTable, call: string): Direction => {
  const end = (key: "from" | "to"): string =>
    memberName(self.bridge, table.get(key), (text) => table.fail(key, text));
  return self.bridge.direction(end("from"), end("to"), call);
};

/** Reads `(value)` or `({from, to, value})`. */
const settingsOf = (
  self: BridgeHandle,
  args: Args,
  call: string,
  knob: Knob,
): [Impairment, Direction | undefined] => {
  const given = args.any(1);
  if (!(given instanceof LuaTable))
    return [
      { [knob.quality]: knob.read(unwrapped(given), `bridge:${call}: ${knob.argument.split(":")[0]}`) },
      undefined,
    ];
  const table = given.named(`bridge:${call}`);
  const more = knob.more ?? {};
  table.only(["from", "to", knob.key, ...Object.keys(more)]);
  const settings: Record<string, number> = {
    [knob.quality]: knob.read(unwrapped(table.get(knob.key)), `bridge:${call}: ${knob.key}`),
  };
  for (const [key, { quality, read }] of Object.entries(more))
    if (table.has(key)) settings[quality] = read(unwrapped(table.get(key)), `bridge:${call}: ${key}`);
  const whole = !table.has("from") && !table.has("to");
  return [settings, whole ? undefined : directionOf(self, table, `bridge:${call}`)];
};

const toldCut = (cut: readonly Direction[]): string => cut.map(([from, to]) => `${from} → ${to}`).join(", ");

/** For events: "latencyNs=20000000 a → b". */
const told = (settings: Impairment, direction: Direction | undefined): string =>
  [
    ...Object.entries(settings).map(([quality, value]) => `${quality}=${value}`),
    ...(direction === undefined ? [] : [toldCut([direction])]),
  ].join(" ");

const setter = (call: string, knob: Knob) =>
  bridgeMethod(
    `(${knob.argument}) or ({from: VM|string, to: VM|string, ${[knob.key, ...Object.keys(knob.more ?? {})].map((key) => `${key}: number`).join(", ")}})`,
    `${knob.doc} A number is for the whole bridge; a table with \`from\` and \`to\` for one direction, and takes the place of the whole bridge's value there. 0 ends it.`,
    function* (self, args) {
      // The call as it was made: some have a second name.
      const [settings, direction] = settingsOf(self, args, args.callee, knob);
      yield* self.bridge.change(call, "impaired", told(settings, direction), (conditions) =>
        conditions.set(settings, direction),
      );
    },
  );

const both = ([from, to]: Direction): Direction[] => [
  [from, to],
  [to, from],
];

/** The directions that `(a, b)` or `({from, to})` names. */
const cutOf = (self: BridgeHandle, args: Args, call: string): Direction[] => {
  const given = args.any(1);
  if (!(given instanceof LuaTable))
    return both(self.bridge.direction(memberArgument(self, args, 1), memberArgument(self, args, 2), call));
  const table = given.named(call);
  table.only(["from", "to"]);
  return [directionOf(self, table, call)];
};

/** The same for the removal of a cut, where a detached end is no error. */
const mendOf = (self: BridgeHandle, args: Args, call: string): Direction[] => {
  const given = args.any(1);
  if (!(given instanceof LuaTable)) return cutOf(self, args, call);
  const table = given.named(call);
  table.only(["from", "to"]);
  const end = (key: "from" | "to"): string =>
    memberName(self.bridge, table.get(key), (text) => table.fail(key, text));
  return [[end("from"), end("to")]];
};

const everyPair = (names: readonly string[]): Direction[] =>
  names.flatMap((from) => names.filter((to) => to !== from).map((to): Direction => [from, to]));

const PARTITION_METHODS: BridgeMethods = {
  partition: bridgeMethod(
    "(a: VM|string, b: VM|string) or ({from: VM|string, to: VM|string})",
    "Cuts two members off from each other, or one direction between them. Holds at once.",
    function* (self, args) {
      const cut = cutOf(self, args, "bridge:partition");
      yield* self.bridge.change("partition", "partitioned", toldCut(cut), (conditions) =>
        conditions.cut(cut),
      );
    },
  ),
  unpartition: bridgeMethod(
    "(a: VM|string, b: VM|string) or ({from: VM|string, to: VM|string})",
    "Mends what `partition` has cut; the table form also takes VMs that are not attached, and does nothing then.",
    function* (self, args) {
      const cut = mendOf(self, args, "bridge:unpartition");
      yield* self.bridge.change("unpartition", "healed", toldCut(cut), (conditions) => conditions.mend(cut));
    },
  ),
  partition_all: bridgeMethod("()", "Cuts every member off from every other.", function* (self) {
    const cut = everyPair(self.bridge.members());
    yield* self.bridge.change("partition_all", "partitioned", "", (conditions) => conditions.cut(cut));
  }),
  restore_all: bridgeMethod(
    "()",
    "Mends every cut direction; isolated members stay isolated.",
    function* (self) {
      yield* self.bridge.change("restore_all", "healed", "", (conditions) => conditions.mendAll());
    },
  ),
  is_partitioned: bridgeMethod(
    "(a: VM|string, b: VM|string): boolean",
    "Whether nothing passes from `a` to `b` because of a partition.",
    (self, args) => {
      const [from, to] = self.bridge.direction(
        memberArgument(self, args, 1),
        memberArgument(self, args, 2),
        "bridge:is_partitioned",
      );
      return self.bridge.conditions.isCut(from, to);
    },
  ),
  isolate: bridgeMethod(
    "(vm: VM|string)",
    "Cuts one member off from everything on the bridge.",
    (self, args) => isolation(self, args, "isolate"),
  ),
  unisolate: bridgeMethod("(vm: VM|string)", "Ends that; partitions stay.", (self, args) =>
    isolation(self, args, "unisolate"),
  ),
  is_isolated: bridgeMethod("(vm: VM|string): boolean", "Whether it is isolated.", (self, args) =>
    self.bridge.conditions.isIsolated(memberArgument(self, args, 1)),
  ),
};

const isolation = function* (self: BridgeHandle, args: Args, call: "isolate" | "unisolate"): Op<void> {
  const name = memberArgument(self, args, 1);
  if (!self.bridge.members().includes(name)) self.bridge.attachment(name, `bridge:${call}`);
  yield* self.bridge.change(call, call === "isolate" ? "partitioned" : "healed", name, (conditions) =>
    conditions[call](name),
  );
};

/** A number as Lua shows it best: whole ones as integers. */
const shown = (value: number): unknown => (Number.isInteger(value) ? value : luaFloat(value));

const inForce = (impairment: Impairment): Record<string, unknown> => {
  const entry: Record<string, unknown> = {};
  const add = (key: string, value: number | undefined, factor: number): void => {
    if (value !== undefined) entry[key] = shown(Number((value * factor).toPrecision(12)));
  };
  add("latency_ms", impairment.latencyNs, 1e-6);
  add("jitter_ms", impairment.jitterNs, 1e-6);
  add("drop_pct", impairment.loss, 100);
  add("duplicate_pct", impairment.duplicate, 100);
  add("reorder_pct", impairment.reorder, 100);
  add("corrupt_pct", impairment.corrupt, 100);
  add("bandwidth_bps", impairment.rateBps, 1);
  return entry;
};

const READING_METHODS: BridgeMethods = {
  impairments: bridgeMethod(
    "(): {from: string, to: string, partitioned: boolean, latency_ms?, jitter_ms?, drop_pct?, duplicate_pct?, reorder_pct?, corrupt_pct?, bandwidth_bps?: number}[]",
    "What is in force, one entry for each direction between two members where something is; `partitioned` also for an isolated one.",
    (self) =>
      self.bridge
        .impairments()
        .map(({ from, to, cut, impairment }) => ({ from, to, partitioned: cut, ...inForce(impairment) })),
  ),
  latency_ms: bridgeMethod("(): number", "The latency of the whole bridge.", (self) =>
    shown(self.bridge.conditions.wholeOf("latencyNs") / 1e6),
  ),
  drop_rate_pct: bridgeMethod("(): number", "The loss of the whole bridge.", (self) =>
    shown(self.bridge.conditions.wholeOf("loss") * 100),
  ),
  bandwidth_bps: bridgeMethod("(): integer", "The rate of the whole bridge; 0 without a limit.", (self) =>
    self.bridge.conditions.wholeOf("rateBps"),
  ),
  reset: bridgeMethod(
    "()",
    "Ends everything that is wrong by wish: impairments, partitions, isolation. Cables that were pulled stay out.",
    function* (self) {
      yield* self.bridge.change("reset", "healed", "", (conditions) => conditions.reset());
    },
  ),
};

const SETTERS: BridgeMethods = Object.fromEntries(
  Object.entries(KNOBS).map(([call, knob]) => [call, setter(call, knob)]),
);

export const IMPAIRMENT_METHODS: BridgeMethods = {
  ...PARTITION_METHODS,
  ...SETTERS,
  add_directional_latency: SETTERS.add_latency as BridgeMethods[string],
  directional_drop_rate: SETTERS.drop_rate as BridgeMethods[string],
  ...READING_METHODS,
};

defineBridge(IMPAIRMENT_METHODS);

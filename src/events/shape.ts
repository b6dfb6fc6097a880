/**
 * What the payload of each kind of event consists of, for recordings that come from elsewhere: what they lack would
 * otherwise be missed far away, in a reporter. The compiler compares the table with `EventPayloads`.
 */

import type {
  Comparison,
  EventKind,
  EventPayloads,
  FailureDetail,
  ResourceAmount,
  SourceExcerpt,
} from "./types.ts";

interface Types {
  readonly text: string;
  readonly number: number;
  readonly flag: boolean;
  readonly texts: readonly string[];
  readonly bytes: Uint8Array;
  readonly map: object;
  readonly amount: ResourceAmount;
  readonly detail: FailureDetail;
  readonly excerpt: SourceExcerpt;
  readonly comparison: Comparison;
  readonly shard: { readonly index: number; readonly total: number };
}
type TypeName = keyof Types;

/** The names that may stand for a value of type `T`; `map` for any object. */
type NameOf<T> = { [N in TypeName]: T extends Types[N] ? N : never }[TypeName];
type Shape<P> = {
  readonly [F in keyof P]-?: undefined extends P[F] ? `${NameOf<NonNullable<P[F]>>}?` : NameOf<P[F]>;
};

const AMOUNT: Shape<ResourceAmount> = { memory_bytes: "number", cpus: "number" };
const EXCERPT: Shape<SourceExcerpt> = { first_line: "number", lines: "texts", column: "number" };
const COMPARISON: Shape<Comparison> = {
  ...{ left_name: "text", left: "text", right_name: "text", right: "text" },
};
const DETAIL: Shape<FailureDetail> = {
  ...{ file: "text?", line: "number?", source: "text?", excerpt: "excerpt?", comparison: "comparison?" },
  ...{ traceback: "text?", hint: "text?" },
};
const SHARD: Shape<Types["shard"]> = { index: "number", total: "number" };

const PAYLOADS: { readonly [K in EventKind]: Shape<EventPayloads[K]> } = {
  stream_started: { protocol_version: "number", host_version: "text" },
  run_started: {
    ...{ jobs: "number", pool: "amount", vmm: "text", accel: "text", transport: "text", rerun: "texts" },
    ...{ seed: "text?", shard: "shard?" },
  },
  notice: { level: "text", text: "text" },
  file_discovered: {
    ...{ path: "text", dialect: "text", fixture_refs: "texts", declared_claim: "amount?", location: "text?" },
    ...{ expected_ns: "number?", seed: "text?" },
  },
  file_dispatched: { path: "text", reservation: "amount", attempt: "number?" },
  file_blocked: { path: "text", waiting_for: "amount", reason: "text" },
  file_retried: { path: "text", attempt: "number", status: "text", duration_ns: "number", error: "text?" },
  file_completed: {
    ...{ path: "text", status: "text", duration_ns: "number", error: "text?", detail: "detail?" },
    flaky: "flag?",
  },
  test_started: { path: "text", name: "text", meta: "map", parent: "text?" },
  test_passed: { path: "text", name: "text", duration_ns: "number", meta: "map", log: "texts" },
  test_failed: {
    ...{ path: "text", name: "text", duration_ns: "number", reason: "text", detail: "detail" },
    ...{ console_excerpt: "text", meta: "map", log: "texts" },
  },
  test_skipped: { path: "text", name: "text", reason: "text", meta: "map", log: "texts" },
  output: { path: "text", text: "text" },
  attachment: { path: "text", test: "text", name: "text", media_type: "text", data: "bytes" },
  vm_spawned: {
    ...{ file: "text", vm_name: "text", profile: "text", memory_bytes: "number", cid: "number" },
    ...{ transport: "text", boot_ns: "number" },
  },
  vm_state: { file: "text", vm_name: "text", state: "text", reason: "text?" },
  vm_shutdown: { file: "text", vm_name: "text", duration_ns: "number" },
  snapshot_taken: { file: "text", vm_name: "text", duration_ns: "number", bytes: "number" },
  snapshot_restored: { file: "text", vm_name: "text", duration_ns: "number" },
  bridge_changed: { file: "text", bridge: "text", change: "text", text: "text" },
  fault_changed: { file: "text", disk: "text", fault: "text", change: "text", text: "text" },
  op: { file: "text", vm_name: "text", operation: "text", duration_ns: "number", error: "text?" },
  pool_state: { used: "amount", available: "amount" },
  claim_acquired: { path: "text", amount: "amount" },
  claim_released: { path: "text", amount: "amount" },
  fixture_build_started: { path: "text" },
  fixture_build_done: { path: "text", duration_ns: "number", snapshot_bytes: "number" },
  fixture_build_failed: { path: "text", duration_ns: "number", reason: "text" },
  fixture_build_waiting: { path: "text", held_by_file: "text" },
  fixture_cache_hit: { path: "text" },
  run_completed: { interrupted: "flag", duration_ns: "number" },
};

type Fields = Readonly<Record<string, unknown>>;
const isMap = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
const isText = (value: unknown): boolean => typeof value === "string";

const FITS: Readonly<Record<TypeName, (value: unknown) => boolean>> = {
  text: isText,
  number: (value) => typeof value === "number",
  flag: (value) => typeof value === "boolean",
  texts: (value) => Array.isArray(value) && value.every(isText),
  bytes: (value) => value instanceof Uint8Array,
  map: isMap,
  amount: (value) => isMap(value) && misfit(value, AMOUNT) === undefined,
  detail: (value) => isMap(value) && misfit(value, DETAIL) === undefined,
  excerpt: (value) => isMap(value) && misfit(value, EXCERPT) === undefined,
  comparison: (value) => isMap(value) && misfit(value, COMPARISON) === undefined,
  shard: (value) => isMap(value) && misfit(value, SHARD) === undefined,
};

/** The first field that is missing or of another type. */
const misfit = (fields: Fields, shape: Readonly<Record<string, string>>): string | undefined =>
  Object.entries(shape).find(([name, wanted]) => {
    const value = fields[name];
    const optional = wanted.endsWith("?");
    if (value === undefined) return !optional;
    return !FITS[(optional ? wanted.slice(0, -1) : wanted) as TypeName](value);
  })?.[0];

/** What is wrong with the payload of an event; undefined for nothing, and for a kind that a newer version has. */
export const payloadProblem = (kind: string, payload: unknown): string | undefined => {
  if (!isMap(payload)) return "it has no payload";
  if (!Object.hasOwn(PAYLOADS, kind)) return undefined;
  const field = misfit(payload, PAYLOADS[kind as EventKind]);
  return field === undefined ? undefined : `\`${field}\` of its ${kind} is missing or of another type`;
};

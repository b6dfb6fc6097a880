/**
 * Events: whatever happens becomes one of these, once. Reporters, sinks and coverage consume nothing else.
 * `docs/events.md` tells readers about them, `docs/events.schema.json` says the same to programs: keep the three
 * in step (tests compare what runs send with the schema).
 *
 * Order: `stream_started` first; `run_started` and every `file_discovered` before any `file_dispatched`; per file
 * at most one `file_dispatched` an attempt and exactly one terminal `file_completed`; an attempt that is to be
 * repeated ends with `file_retried` instead. Per test of an attempt one `test_started` followed by exactly one of
 * `test_passed`, `test_failed`, `test_skipped` (terminal). `vm_spawned` is paired with `vm_shutdown`,
 * `claim_acquired` with `claim_released`, `fixture_build_started` with `fixture_build_done` or
 * `fixture_build_failed`, also when a runner crashes or the run is interrupted. `run_completed` ends the stream; a
 * stream without it was cut off.
 */

export type MetaValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | readonly MetaValue[]
  | { readonly [key: string]: MetaValue };
export type Meta = Readonly<Record<string, MetaValue>>;

export interface ResourceAmount {
  readonly memory_bytes: number;
  readonly cpus: number;
}

export type FileStatus = "passed" | "failed" | "timed_out" | "crashed";

/** The lines around the one that failed. */
export interface SourceExcerpt {
  /** Number of the first line, from 1. */
  readonly first_line: number;
  readonly lines: readonly string[];
  /** Where in the failing line the call stands, in characters from 1. */
  readonly column: number;
}

/** Two values that were to be equal, each as several lines of Lua. */
export interface Comparison {
  readonly left_name: string;
  readonly left: string;
  readonly right_name: string;
  readonly right: string;
}

/** Where and how a test failed, for renderers; `reason` alone tells the story in one line. */
export interface FailureDetail {
  readonly file?: string;
  readonly line?: number;
  readonly source?: string;
  readonly excerpt?: SourceExcerpt;
  readonly comparison?: Comparison;
  readonly traceback?: string;
  readonly hint?: string;
}

export interface EventPayloads {
  stream_started: { readonly protocol_version: number; readonly host_version: string };
  /**
   * What the run was asked for. `rerun` is the command line that repeats a file, with `{file}` where its
   * `location` belongs (or `{path}`: its path); ` --test NAME` behind it repeats one test.
   */
  run_started: {
    readonly jobs: number;
    readonly pool: ResourceAmount;
    readonly vmm: string;
    readonly accel: string;
    readonly transport: string;
    readonly rerun: readonly string[];
    /** A decimal number: seeds have 64 bits. */
    readonly seed?: string;
    readonly shard?: { readonly index: number; readonly total: number };
  };
  /** Said once per run: what the host lacks and what replaces it, the chosen acceleration, … */
  notice: { readonly level: "info" | "warning"; readonly text: string };
  file_discovered: {
    readonly path: string;
    readonly dialect: "classic" | "lab";
    readonly fixture_refs: readonly string[];
    readonly declared_claim?: ResourceAmount;
    /** From the directory in which the run was started, or absolute. */
    readonly location?: string;
    /** What it took last time. */
    readonly expected_ns?: number;
    /** Of a file whose run had another seed than `run_started` says: recordings that were merged. */
    readonly seed?: string;
  };
  /** `attempt` counts from 1, and is left out for the first. */
  file_dispatched: { readonly path: string; readonly reservation: ResourceAmount; readonly attempt?: number };
  file_blocked: { readonly path: string; readonly waiting_for: ResourceAmount; readonly reason: string };
  /** The end of an attempt that failed and is followed by another one. */
  file_retried: {
    readonly path: string;
    readonly attempt: number;
    readonly status: FileStatus;
    readonly duration_ns: number;
    readonly error?: string;
  };
  /**
   * `error` is the chunk error (file scope failed) or the reason of a crash. `not_run`: the run ended before the
   * file's turn. `flaky`: it passed after an attempt that had failed.
   */
  file_completed: {
    readonly path: string;
    readonly status: FileStatus | "not_run";
    readonly duration_ns: number;
    readonly error?: string;
    readonly detail?: FailureDetail;
    readonly flaky?: boolean;
  };
  /** `parent` is the test that this one is a part of (`t:subtest`, `t:ktap`). */
  test_started: {
    readonly path: string;
    readonly name: string;
    readonly meta: Meta;
    readonly parent?: string;
  };
  test_passed: {
    readonly path: string;
    readonly name: string;
    readonly duration_ns: number;
    readonly meta: Meta;
    readonly log: readonly string[];
  };
  test_failed: {
    readonly path: string;
    readonly name: string;
    readonly duration_ns: number;
    readonly reason: string;
    readonly detail: FailureDetail;
    readonly console_excerpt: string;
    readonly meta: Meta;
    readonly log: readonly string[];
  };
  test_skipped: {
    readonly path: string;
    readonly name: string;
    readonly reason: string;
    readonly meta: Meta;
    readonly log: readonly string[];
  };
  /** What a test printed. */
  output: { readonly path: string; readonly text: string };
  /** What a test wants kept with its result (`t:attach`). */
  attachment: {
    readonly path: string;
    readonly test: string;
    readonly name: string;
    readonly media_type: string;
    readonly data: Uint8Array;
  };
  vm_spawned: {
    readonly file: string;
    readonly vm_name: string;
    readonly profile: string;
    readonly memory_bytes: number;
    readonly cid: number;
    readonly transport: string;
    readonly boot_ns: number;
  };
  vm_state: {
    readonly file: string;
    readonly vm_name: string;
    readonly state: string;
    readonly reason?: string;
  };
  vm_shutdown: { readonly file: string; readonly vm_name: string; readonly duration_ns: number };
  snapshot_taken: {
    readonly file: string;
    readonly vm_name: string;
    readonly duration_ns: number;
    readonly bytes: number;
  };
  snapshot_restored: { readonly file: string; readonly vm_name: string; readonly duration_ns: number };
  /** `change` is a word (`attached`, `detached`, `impaired`, `partitioned`, `healed`, …), `text` the rest of the story. */
  bridge_changed: {
    readonly file: string;
    readonly bridge: string;
    readonly change: string;
    readonly text: string;
  };
  fault_changed: {
    readonly file: string;
    readonly disk: string;
    readonly fault: string;
    readonly change: "set" | "cleared";
    readonly text: string;
  };
  /** One request to an agent; sent with `--operations` only. `error` is what became of one that failed. */
  op: {
    readonly file: string;
    readonly vm_name: string;
    readonly operation: string;
    readonly duration_ns: number;
    readonly error?: string;
  };
  pool_state: { readonly used: ResourceAmount; readonly available: ResourceAmount };
  claim_acquired: { readonly path: string; readonly amount: ResourceAmount };
  claim_released: { readonly path: string; readonly amount: ResourceAmount };
  /** `path` names the fixture. */
  fixture_build_started: { readonly path: string };
  fixture_build_done: {
    readonly path: string;
    readonly duration_ns: number;
    readonly snapshot_bytes: number;
  };
  fixture_build_failed: { readonly path: string; readonly duration_ns: number; readonly reason: string };
  fixture_build_waiting: { readonly path: string; readonly held_by_file: string };
  fixture_cache_hit: { readonly path: string };
  run_completed: { readonly interrupted: boolean; readonly duration_ns: number };
}

export type EventKind = keyof EventPayloads;
/** One event: `ts` in nanoseconds since the epoch (host clock). */
export type ProviumEvent = {
  [K in EventKind]: { readonly ts: bigint; readonly kind: K; readonly payload: EventPayloads[K] };
}[EventKind];
export type Emit = <K extends EventKind>(kind: K, payload: EventPayloads[K]) => void;

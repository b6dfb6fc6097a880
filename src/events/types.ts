/**
 * Events: whatever happens becomes one of these, once. Reporters, sinks and coverage consume nothing else.
 *
 * Order: `stream_started` first; every `file_discovered` before any `file_dispatched`; per file at most one
 * `file_dispatched` and exactly one terminal `file_completed`; per test one `test_started` followed by exactly
 * one of `test_passed`, `test_failed`, `test_skipped` (terminal). `vm_spawned` is always paired with
 * `vm_shutdown`. `run_completed` ends the stream; a stream without it was cut off.
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

/** Where and how a test failed, for renderers; `reason` alone tells the story in one line. */
export interface FailureDetail {
  readonly file?: string;
  readonly line?: number;
  readonly source?: string;
  readonly traceback?: string;
  readonly hint?: string;
}

export interface EventPayloads {
  stream_started: { readonly protocol_version: number; readonly host_version: string };
  /** Said once per run: what the host lacks and what replaces it, the chosen acceleration, … */
  notice: { readonly level: "info" | "warning"; readonly text: string };
  file_discovered: {
    readonly path: string;
    readonly dialect: "classic" | "lab";
    readonly fixture_refs: readonly string[];
    readonly declared_claim?: ResourceAmount;
  };
  file_dispatched: { readonly path: string; readonly reservation: ResourceAmount };
  file_blocked: { readonly path: string; readonly waiting_for: ResourceAmount; readonly reason: string };
  /** `error` is the chunk error (file scope failed) or the reason of a crash. */
  file_completed: {
    readonly path: string;
    readonly status: FileStatus;
    readonly duration_ns: number;
    readonly error?: string;
    readonly detail?: FailureDetail;
  };
  test_started: { readonly path: string; readonly name: string; readonly meta: Meta };
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
  pool_state: { readonly used: ResourceAmount; readonly available: ResourceAmount };
  claim_acquired: { readonly path: string; readonly amount: ResourceAmount };
  claim_released: { readonly path: string; readonly amount: ResourceAmount };
  run_completed: { readonly interrupted: boolean; readonly duration_ns: number };
}

export type EventKind = keyof EventPayloads;
/** One event: `ts` in nanoseconds since the epoch (host clock). */
export type ProviumEvent = {
  [K in EventKind]: { readonly ts: bigint; readonly kind: K; readonly payload: EventPayloads[K] };
}[EventKind];
export type Emit = <K extends EventKind>(kind: K, payload: EventPayloads[K]) => void;

/**
 * What dispatcher and runner say to each other over their socket pair: length-prefixed msgpack frames
 * (`events/frame.ts`), one of these objects each. The runner speaks first with `idle`, and again after each file.
 */

import type { Profile } from "../config/schema.ts";
import type { ProviumEvent } from "../events/types.ts";
import type { FixtureKind } from "../fixture/label.ts";
import type { Dependency } from "../fixture/recorder.ts";
import type { BootArtefacts, BootRequest, FixtureAnswer, FixtureRequest } from "../lab/ports.ts";
import type { Identity } from "../sys/identity.ts";
import type { Errand, Reply, Word } from "./talk.ts";

/** Which tests of a file run; the rest is reported as skipped with the filter as reason. */
export interface TestFilter {
  readonly includeSlow: boolean;
  readonly tags: readonly string[];
  readonly noTags: readonly string[];
  /** Keys with the values of which one is wanted. */
  readonly tagMeta: readonly (readonly [key: string, values: readonly string[]])[];
  readonly noTagMeta: readonly (readonly [key: string, values: readonly string[]])[];
  /** Exact names; empty for any. */
  readonly names: readonly string[];
}

/** One test file and everything that running it needs. Paths are absolute unless said otherwise. */
export interface Job {
  readonly file: string;
  /** Path shown to people and in events: relative to its root. */
  readonly path: string;
  readonly dialect: "classic" | "lab";
  /** Searched by `require`, in this order. */
  readonly roots: readonly string[];
  /** Directory of provium.toml, or the working directory: where classic relative paths start. */
  readonly project: string;
  readonly profiles: Readonly<Record<string, Profile>>;
  readonly filter: TestFilter;
  readonly vmm: "qemu" | "local";
  readonly accel: "kvm" | "tcg";
  /** Who QEMU runs as, where not as the runner does. */
  readonly runAs?: Identity | undefined;
  /** auto is settled by the dispatcher. */
  readonly transport: "vsock" | "serial";
  /** Of the run: where each file's random sequence starts, together with its path. */
  readonly seed?: bigint | number;
  /** Every operation in a guest becomes an event. */
  readonly operations?: boolean;
  /** Which backend carries the frames of bridges. */
  readonly network: "auto" | "kernel" | "user";
  /** Milliseconds for the whole file, 0 for none. */
  readonly timeoutMs: number;
  /** Megabytes that the Lua state may hold. */
  readonly luaMemoryMb: number;
  /** This file's directory below the run directory, mode 0700. */
  readonly directory: string;
  /** Extracted binaries: the agent, wrapper and helper. */
  readonly assets: { readonly agent: string; readonly wrapper: string; readonly helper: string };
  /** Instead of a file's text. `file` then says where relative paths start. */
  readonly errand?: Errand | undefined;
  /** The file is a fixture to be built: a directory of the cache where its snapshots go. */
  readonly staging?: string | undefined;
}

/** What came of building a fixture. */
export interface BuiltFixture {
  readonly kind: FixtureKind;
  /** The directory of the snapshot that the file returned. */
  readonly snapshot: string;
  readonly dependencies: readonly Dependency[];
}

/** A runner asks the dispatcher for what needs the whole run's view. */
export type Request =
  | { readonly what: "draw"; readonly vm: string; readonly memoryBytes: number; readonly cpus: number }
  | { readonly what: "claim"; readonly memoryBytes: number; readonly cpus: number }
  | { readonly what: "release"; readonly grant: number }
  | { readonly what: "boot"; readonly boot: BootRequest }
  | { readonly what: "fixture"; readonly fixture: FixtureRequest }
  /** The machines of the fixture that was handed out under this lease run. */
  | { readonly what: "restored"; readonly lease: number };

export type Answer = { readonly grant: number } | BootArtefacts | FixtureAnswer | null;

export type Down =
  | { readonly type: "run"; readonly job: Job }
  | { readonly type: "answer"; readonly id: number; readonly value: Answer }
  | {
      readonly type: "refusal";
      readonly id: number;
      readonly message: string;
      readonly hint?: string | undefined;
    }
  /** End the file politely: close everything, report what was not run as skipped. */
  | { readonly type: "stop"; readonly reason: string }
  | { readonly type: "word"; readonly word: Word };

export type Up =
  | { readonly type: "idle" }
  | { readonly type: "event"; readonly event: ProviumEvent }
  | { readonly type: "request"; readonly id: number; readonly request: Request }
  | { readonly type: "reply"; readonly reply: Reply }
  /** The file is over; `clean` false asks to be replaced rather than reused. */
  | {
      readonly type: "finished";
      readonly status: "passed" | "failed" | "timed_out" | "crashed";
      readonly clean: boolean;
      readonly error?: string | undefined;
      readonly built?: BuiltFixture | undefined;
    };

/**
 * What a finished file and a finished run look like, put together from events. Reporters that speak once per file
 * read these instead of keeping books of their own.
 */

import type { Consumer } from "../events/stream.ts";
import type { EventPayloads, FailureDetail, FileStatus, Meta, ProviumEvent } from "../events/types.ts";
import type { FixtureEvent } from "./fixtures.ts";

export interface TestRecord {
  readonly name: string;
  readonly status: "passed" | "failed" | "skipped";
  readonly message: string | undefined;
  readonly detail: FailureDetail;
  readonly consoleExcerpt: string;
  readonly log: readonly string[];
  readonly durationNs: number;
  readonly meta: Meta;
  /** The test that this one is a part of. */
  readonly parent: string | undefined;
  /** Failed in an attempt before this one, and passed now. */
  readonly flaky: boolean;
}

export interface FileRecord {
  readonly path: string;
  /** From the directory of the run, where the stream says so; else the path. */
  readonly location: string;
  readonly dialect: "classic" | "lab" | undefined;
  readonly status: FileStatus;
  readonly error: string | undefined;
  readonly detail: FailureDetail;
  readonly durationNs: number;
  /** Where the stream gives the file one of its own. */
  readonly seed: string | undefined;
  /** Of the last attempt. */
  readonly tests: readonly TestRecord[];
  /** From 1. */
  readonly attempts: number;
  readonly flaky: boolean;
  /** What the file printed, cut to the last `OUTPUT_LIMIT` characters. */
  readonly output: string;
  readonly machines: readonly {
    readonly name: string;
    readonly bootNs: number;
    readonly transport: string;
  }[];
}

export interface RunRecord {
  readonly files: number;
  readonly discovered: number;
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** Files that failed, timed out or crashed. */
  readonly badFiles: number;
  /** Files that passed after an attempt that had failed. */
  readonly flakyFiles: number;
  readonly interrupted: boolean;
  readonly durationNs: number;
}

/** What the run was started with; undefined in a stream that does not say. */
export type RunInfo = EventPayloads["run_started"];

const OUTPUT_LIMIT = 256 * 1024;
/** Characters that the logs of one file's tests may have together. */
const LOG_LIMIT = 4 * 1024 * 1024;

/** The end of what a file printed; the start goes when it becomes too much. */
class Output {
  private parts: string[] = [];
  private length = 0;
  private cut = false;

  add(text: string): void {
    this.parts.push(text);
    this.length += text.length;
    if (this.length > 2 * OUTPUT_LIMIT) this.trim();
  }

  toString(): string {
    if (this.length > OUTPUT_LIMIT) this.trim();
    const text = this.parts.join("");
    return this.cut ? `… earlier output left out\n${text}` : text;
  }

  private trim(): void {
    const text = this.parts.join("").slice(-OUTPUT_LIMIT);
    // Whole lines only, where there are lines.
    const kept = text.slice(text.indexOf("\n") + 1);
    this.parts = [kept];
    this.length = kept.length;
    this.cut = true;
  }
}

/** A file while its events come in. */
class Draft {
  tests: TestRecord[] = [];
  output = new Output();
  machines: { name: string; bootNs: number; transport: string }[] = [];
  attempts = 1;
  readonly parents = new Map<string, string>();
  private logged = 0;
  /** Names of tests that failed in earlier attempts. */
  private readonly failedBefore = new Set<string>();

  constructor(
    readonly dialect: "classic" | "lab" | undefined,
    readonly location: string,
    readonly seed: string | undefined,
  ) {}

  ended(event: TestEnd): void {
    const { name, log, meta } = event.payload;
    const failed = event.kind === "test_failed" ? event.payload : undefined;
    this.tests.push({
      name,
      status: event.kind === "test_passed" ? "passed" : event.kind === "test_failed" ? "failed" : "skipped",
      message: event.kind === "test_passed" ? undefined : event.payload.reason,
      detail: failed?.detail ?? {},
      consoleExcerpt: failed?.console_excerpt ?? "",
      log: this.bounded(log),
      durationNs: event.kind === "test_skipped" ? 0 : event.payload.duration_ns,
      meta,
      parent: this.parents.get(name),
      flaky: event.kind === "test_passed" && this.failedBefore.has(name),
    });
  }

  /** Begins another attempt. */
  again(): void {
    for (const { name, status } of this.tests) if (status === "failed") this.failedBefore.add(name);
    this.tests = [];
    this.output = new Output();
    this.machines = [];
    this.parents.clear();
    this.logged = 0;
    this.attempts++;
  }

  private bounded(log: readonly string[]): readonly string[] {
    for (const line of log) this.logged += line.length;
    return log.length === 0 || this.logged <= LOG_LIMIT
      ? log
      : ["(left out: the logs of this file are too long)"];
  }
}

type TestEnd = Extract<ProviumEvent, { kind: "test_passed" | "test_failed" | "test_skipped" }>;

export interface RecordListener {
  start?(): void;
  info?(info: RunInfo): void;
  file?(record: FileRecord): void;
  /** A file that was discovered and did not have its turn. */
  notRun?(path: string, location: string, reason: string): void;
  run?(record: RunRecord): void;
  notice?(level: "info" | "warning", text: string): void;
  fixture?(event: FixtureEvent): void;
}

/** Counts of a file's tests, in the order in which people read them. */
export const countTests = (
  tests: readonly TestRecord[],
): { passed: number; failed: number; skipped: number } => {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const test of tests) counts[test.status]++;
  return counts;
};

const NOTHING = { files: 0, discovered: 0, passed: 0, failed: 0, skipped: 0, badFiles: 0, flakyFiles: 0 };

/** A consumer that tells `listener` about each file and about the run when they are over. */
export const recordRun = (listener: RecordListener): Consumer => {
  const drafts = new Map<string, Draft>();
  let total = { ...NOTHING };
  const draft = (path: string): Draft => {
    let found = drafts.get(path);
    if (found === undefined) {
      found = new Draft(undefined, path, undefined);
      drafts.set(path, found);
    }
    return found;
  };
  const completed = (payload: EventPayloads["file_completed"]): void => {
    const { path, status, error } = payload;
    const found = draft(path);
    drafts.delete(path);
    if (status === "not_run") {
      listener.notRun?.(path, found.location, error ?? "");
      return;
    }
    const counts = countTests(found.tests);
    const flaky = payload.flaky === true;
    total.files++;
    total.passed += counts.passed;
    total.failed += counts.failed;
    total.skipped += counts.skipped;
    if (status !== "passed") total.badFiles++;
    if (flaky) total.flakyFiles++;
    listener.file?.({
      path,
      location: found.location,
      seed: found.seed,
      dialect: found.dialect,
      status,
      error,
      detail: payload.detail ?? {},
      durationNs: payload.duration_ns,
      tests: found.tests,
      attempts: found.attempts,
      flaky,
      output: found.output.toString(),
      machines: found.machines,
    });
  };

  return (event: ProviumEvent): void => {
    switch (event.kind) {
      case "stream_started":
        drafts.clear();
        total = { ...NOTHING };
        listener.start?.();
        return;
      case "run_started":
        listener.info?.(event.payload);
        return;
      case "notice":
        listener.notice?.(event.payload.level, event.payload.text);
        return;
      case "fixture_build_started":
      case "fixture_build_done":
      case "fixture_build_failed":
      case "fixture_build_waiting":
      case "fixture_cache_hit":
        listener.fixture?.(event);
        return;
      case "file_discovered": {
        const { path, dialect, location, seed } = event.payload;
        total.discovered++;
        drafts.set(path, new Draft(dialect, location ?? path, seed));
        return;
      }
      case "output":
        draft(event.payload.path).output.add(event.payload.text);
        return;
      case "vm_spawned":
        draft(event.payload.file).machines.push({
          name: event.payload.vm_name,
          bootNs: event.payload.boot_ns,
          transport: event.payload.transport,
        });
        return;
      case "test_started":
        if (event.payload.parent !== undefined)
          draft(event.payload.path).parents.set(event.payload.name, event.payload.parent);
        return;
      case "test_passed":
      case "test_failed":
      case "test_skipped":
        draft(event.payload.path).ended(event);
        return;
      case "file_retried":
        draft(event.payload.path).again();
        return;
      case "file_completed":
        completed(event.payload);
        return;
      case "run_completed":
        listener.run?.({
          ...total,
          interrupted: event.payload.interrupted,
          durationNs: event.payload.duration_ns,
        });
        return;
      default:
    }
  };
};

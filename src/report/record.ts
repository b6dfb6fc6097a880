/**
 * What a finished file and a finished run look like, put together from events. Reporters that speak once per file
 * (plain, JSON) read these instead of keeping books of their own.
 */

import type { Consumer } from "../events/stream.ts";
import type { FailureDetail, FileStatus, ProviumEvent } from "../events/types.ts";

export interface TestRecord {
  readonly name: string;
  readonly status: "passed" | "failed" | "skipped";
  readonly message: string | undefined;
  readonly detail: FailureDetail;
  readonly consoleExcerpt: string;
  readonly log: readonly string[];
  readonly durationNs: number;
}

export interface FileRecord {
  readonly path: string;
  readonly dialect: "classic" | "lab" | undefined;
  readonly status: FileStatus;
  readonly error: string | undefined;
  readonly detail: FailureDetail;
  readonly durationNs: number;
  readonly tests: readonly TestRecord[];
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
  readonly interrupted: boolean;
  readonly durationNs: number;
}

const OUTPUT_LIMIT = 256 * 1024;

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

interface Draft {
  dialect: "classic" | "lab" | undefined;
  tests: TestRecord[];
  readonly output: Output;
  machines: { name: string; bootNs: number; transport: string }[];
}

export interface RecordListener {
  file?(record: FileRecord): void;
  run?(record: RunRecord): void;
  notice?(level: "info" | "warning", text: string): void;
}

/** Counts of a file's tests, in the order in which people read them. */
export const countTests = (
  tests: readonly TestRecord[],
): { passed: number; failed: number; skipped: number } => {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const test of tests) counts[test.status]++;
  return counts;
};

/** A consumer that tells `listener` about each file and about the run when they are over. */
export const recordRun = (listener: RecordListener): Consumer => {
  const drafts = new Map<string, Draft>();
  const total = { files: 0, discovered: 0, passed: 0, failed: 0, skipped: 0, badFiles: 0 };
  const draft = (path: string): Draft => {
    let found = drafts.get(path);
    if (found === undefined) {
      found = { dialect: undefined, tests: [], output: new Output(), machines: [] };
      drafts.set(path, found);
    }
    return found;
  };

  return (event: ProviumEvent): void => {
    switch (event.kind) {
      case "notice":
        listener.notice?.(event.payload.level, event.payload.text);
        return;
      case "file_discovered":
        total.discovered++;
        draft(event.payload.path).dialect = event.payload.dialect;
        return;
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
      case "test_passed":
      case "test_failed":
      case "test_skipped": {
        const { name, log } = event.payload;
        const failed = event.kind === "test_failed" ? event.payload : undefined;
        draft(event.payload.path).tests.push({
          name,
          status:
            event.kind === "test_passed" ? "passed" : event.kind === "test_failed" ? "failed" : "skipped",
          message: event.kind === "test_passed" ? undefined : event.payload.reason,
          detail: failed?.detail ?? {},
          consoleExcerpt: failed?.console_excerpt ?? "",
          log,
          durationNs: event.kind === "test_skipped" ? 0 : event.payload.duration_ns,
        });
        return;
      }
      case "file_completed": {
        const { path, status, error, detail, duration_ns } = event.payload;
        const { dialect, tests, output, machines } = draft(path);
        drafts.delete(path);
        const counts = countTests(tests);
        total.files++;
        total.passed += counts.passed;
        total.failed += counts.failed;
        total.skipped += counts.skipped;
        if (status !== "passed") total.badFiles++;
        listener.file?.({
          path,
          dialect,
          status,
          error,
          detail: detail ?? {},
          durationNs: duration_ns,
          tests,
          output: output.toString(),
          machines,
        });
        return;
      }
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

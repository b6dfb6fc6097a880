/** Which sections of a document tests cover: by a key of their metadata (`spec`), from the events of a run. */

import type { Consumer } from "../events/stream.ts";
import type { MetaValue } from "../events/types.ts";
import { type FileRecord, type RunRecord, recordRun, type TestRecord } from "./record.ts";
import { summarize } from "./summary.ts";

/** A section that ought to be covered. */
export interface Section {
  readonly id: string;
  readonly title: string;
}

export interface CoveringTest {
  readonly path: string;
  readonly name: string;
  readonly status: "passed" | "failed";
}

export interface SectionCoverage extends Section {
  readonly tests: readonly CoveringTest[];
  readonly status: "passed" | "failed" | "untested";
  /** False: tests name it, and the list of sections does not. */
  readonly listed: boolean;
}

export interface Coverage {
  readonly by: string;
  readonly sections: readonly SectionCoverage[];
  /** Tests that ran and name no section. */
  readonly without: number;
  /** The last line of the run; undefined for a stream that was cut off. */
  readonly run: string | undefined;
}

/** One section a line: its name, then its title. Empty lines and lines that begin with `#` are none. */
export const parseSections = (text: string): readonly Section[] =>
  text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => {
      const [, id, title] = /^(\S+)\s*(.*)$/.exec(line) as unknown as [string, string, string];
      return { id, title };
    });

/** The sections that a value of metadata names: one, or an array of them. */
const named = (value: MetaValue | undefined): readonly string[] => {
  if (Array.isArray(value)) return value.flatMap((item) => named(item as MetaValue));
  if (typeof value === "string") return value === "" ? [] : [value];
  return typeof value === "number" || typeof value === "bigint" ? [String(value)] : [];
};

/** 2 before 10, and 3.2 before 3.10. */
const order = new Intl.Collator("en", { numeric: true }).compare;

export class CoverageCollector {
  private readonly found = new Map<string, CoveringTest[]>();
  private without = 0;
  private run: RunRecord | undefined;
  private readonly record: Consumer;

  constructor(
    private readonly by: string,
    /** Undefined: the sections that tests name are all that is known. */
    private readonly sections: readonly Section[] | undefined,
  ) {
    this.record = recordRun({
      start: () => {
        this.found.clear();
        this.without = 0;
        this.run = undefined;
      },
      file: (file) => {
        for (const test of file.tests) this.take(file, test);
      },
      run: (run) => {
        this.run = run;
      },
    });
  }

  readonly consume: Consumer = (event) => this.record(event);

  get result(): Coverage {
    const listed = new Map((this.sections ?? []).map((section) => [section.id, section]));
    const extra = [...this.found.keys()].filter((id) => !listed.has(id)).sort(order);
    const all = [...listed.values(), ...extra.map((id): Section => ({ id, title: "" }))];
    return {
      by: this.by,
      sections: all.map((section) => {
        const tests = this.found.get(section.id) ?? [];
        const failed = tests.some((test) => test.status === "failed");
        return {
          ...section,
          tests,
          status: tests.length === 0 ? "untested" : failed ? "failed" : "passed",
          listed: this.sections === undefined || listed.has(section.id),
        };
      }),
      without: this.without,
      run: this.run && summarize(this.run),
    };
  }

  private take({ path }: FileRecord, { name, status, meta, parent }: TestRecord): void {
    // A part stands for the test that it belongs to, which has the metadata.
    if (status === "skipped" || parent !== undefined) return;
    const ids = new Set(named(meta[this.by]));
    if (ids.size === 0) this.without++;
    for (const id of ids) {
      const tests = this.found.get(id) ?? [];
      tests.push({ path, name, status });
      this.found.set(id, tests);
    }
  }
}

/** Runs a test file's text in a session without VMs and collects what it tells. */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Surface } from "../../../src/api/install.ts";
import type { EventKind, EventPayloads } from "../../../src/events/types.ts";
import type { SessionHost } from "../../../src/runner/chunk.ts";
import type { Job } from "../../../src/runner/protocol.ts";
import { type FileOutcome, runFile } from "../../../src/runner/session.ts";
import type { Op } from "../../../src/sys/op.ts";
import { Reactor } from "../../../src/sys/reactor.ts";

export interface Told {
  readonly kind: EventKind;
  readonly payload: Record<string, unknown>;
}

export class Recording {
  readonly events: Told[] = [];
  outcome: FileOutcome = { status: "crashed", clean: false, error: undefined };

  of<K extends EventKind>(kind: K): EventPayloads[K][] {
    return this.events
      .filter((event) => event.kind === kind)
      .map((event) => event.payload as EventPayloads[K]);
  }

  /** "name: passed", "name: failed" or "name: skipped", in order. */
  get results(): string[] {
    return this.events
      .filter(({ kind }) => /^test_(passed|failed|skipped)$/.test(kind))
      .map(({ kind, payload }) => `${payload.name}: ${kind.slice(5)}`);
  }

  /** The reason of a failed or skipped test. */
  reason(name: string): string {
    const event = this.events.find(({ kind, payload }) => kind !== "test_started" && payload.name === name);
    return String(event?.payload.reason);
  }

  get printed(): string {
    return this.of("output")
      .map(({ text }) => text)
      .join("");
  }
}

// biome-ignore lint/correctness/useYield: nothing to wait for
function* note(calls: string[], call: string): Op<void> {
  calls.push(call);
}

export const stubSurface = (calls: string[] = []): Surface => ({
  enterTest: (name) => void calls.push(`enter ${name}`),
  // biome-ignore lint/correctness/useYield: nothing to wait for
  *leaveTest() {
    calls.push("leave");
    return [];
  },
  // biome-ignore lint/correctness/useYield: nothing to wait for
  *closeFile() {
    calls.push("close");
    return [];
  },
  killAll: () => void calls.push("kill"),
  consoleExcerpt: () => "[console] boot\n",
  settings: { timeoutMs: undefined },
  reset: {
    begin: () => note(calls, "begin"),
    prepare: () => void calls.push("prepare"),
    restore: () => note(calls, "restore"),
  },
  // biome-ignore lint/correctness/useYield: nothing to wait for
  *fixtureResult(values, staging) {
    calls.push(`result ${values.length}`);
    return { kind: "vm", snapshot: join(staging, "vm") };
  },
  profilesUsed: () => ["minimal"],
  onTimeoutSet: () => {},
});

export interface Options {
  readonly dialect?: "classic" | "lab";
  readonly job?: Partial<Job>;
  readonly host?: Partial<SessionHost>;
  readonly name?: string;
}

/** The job of a file without VMs. */
export const jobOf = (file: string, path: string, directory: string): Job => ({
  file,
  path,
  dialect: "lab",
  roots: [directory],
  project: directory,
  profiles: {},
  filter: { includeSlow: false, tags: [], noTags: [], names: [], tagMeta: [], noTagMeta: [] },
  vmm: "local",
  accel: "tcg",
  transport: "serial",
  network: "user",
  timeoutMs: 0,
  luaMemoryMb: 64,
  directory,
  assets: { agent: "", wrapper: "", helper: "" },
});

/** Runs `text` as `NAME.test.lua` (lab) or `NAME.lua` (classic). */
export const run = (text: string, options: Options = {}): Recording => {
  const dialect = options.dialect ?? "lab";
  const path = options.name ?? (dialect === "lab" ? "t.test.lua" : "t.lua");
  const directory = mkdtempSync(join(tmpdir(), "provium-runner-"));
  const file = join(directory, path);
  writeFileSync(file, text);
  const recording = new Recording();
  const job: Job = {
    ...jobOf(file, path, directory),
    dialect,
    ...options.job,
  };
  recording.outcome = runFile(job, {
    reactor: new Reactor(),
    emit: (kind, payload) => void recording.events.push({ kind, payload: payload as never }),
    stopped: () => undefined,
    install: () => stubSurface(),
    ...options.host,
  });
  rmSync(directory, { recursive: true, force: true });
  return recording;
};

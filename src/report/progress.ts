/** What goes on in a run right now, put together from events: the model behind the live view. No I/O. */

import type { Consumer } from "../events/stream.ts";
import type { ProviumEvent, ResourceAmount } from "../events/types.ts";

export interface RunningFile {
  readonly path: string;
  readonly since: bigint;
  test: string | undefined;
  machines: number;
}

export class Progress {
  discovered = 0;
  done = 0;
  failedFiles = 0;
  failedTests = 0;
  /** When the run began; undefined before. */
  started: bigint | undefined;
  over = false;
  jobs = 1;
  pool: { used: ResourceAmount; total: ResourceAmount } | undefined;
  /** In the order in which they started. */
  readonly running = new Map<string, RunningFile>();
  /** Files that wait, with the reason where one was given. */
  readonly waiting = new Map<string, string>();
  private readonly expected = new Map<string, number>();
  private spent = 0;

  readonly consume: Consumer = (event) => this.take(event);

  /** Nanoseconds that the rest will take by what files took before; undefined while nothing is known. */
  remaining(now: bigint): number | undefined {
    const average = this.done > 0 ? this.spent / this.done : undefined;
    let sum = 0;
    for (const path of this.waiting.keys()) {
      const one = this.expected.get(path) ?? average;
      if (one === undefined) return undefined;
      sum += one;
    }
    let longest = 0;
    for (const { path, since } of this.running.values()) {
      const one = this.expected.get(path) ?? average;
      if (one === undefined) return undefined;
      const left = Math.max(0, one - Number(now - since));
      sum += left;
      longest = Math.max(longest, left);
    }
    return Math.max(longest, sum / Math.max(1, this.jobs));
  }

  private take(event: ProviumEvent): void {
    switch (event.kind) {
      case "stream_started":
        this.begin(event.ts);
        return;
      case "run_started":
        this.jobs = event.payload.jobs;
        return;
      case "file_discovered":
        this.discovered++;
        this.waiting.set(event.payload.path, "");
        if (event.payload.expected_ns !== undefined)
          this.expected.set(event.payload.path, event.payload.expected_ns);
        return;
      case "file_blocked":
        this.waiting.set(event.payload.path, event.payload.reason);
        return;
      case "file_dispatched": {
        const { path } = event.payload;
        this.waiting.delete(path);
        this.running.set(path, { path, since: event.ts, test: undefined, machines: 0 });
        return;
      }
      case "file_retried":
        this.running.delete(event.payload.path);
        this.waiting.set(event.payload.path, "");
        return;
      case "file_completed":
        this.completed(event.payload);
        return;
      case "pool_state": {
        const { used, available } = event.payload;
        const total = {
          memory_bytes: used.memory_bytes + available.memory_bytes,
          cpus: used.cpus + available.cpus,
        };
        this.pool = { used, total };
        return;
      }
      case "run_completed":
        this.over = true;
        return;
      default:
        this.takeOfFile(event);
    }
  }

  private takeOfFile(event: ProviumEvent): void {
    if (event.kind === "vm_spawned" || event.kind === "vm_shutdown") {
      const file = this.running.get(event.payload.file);
      if (file !== undefined) file.machines += event.kind === "vm_spawned" ? 1 : -1;
    } else if (event.kind === "test_started") {
      const file = this.running.get(event.payload.path);
      if (file !== undefined) file.test = event.payload.name;
    } else if (
      event.kind === "test_passed" ||
      event.kind === "test_failed" ||
      event.kind === "test_skipped"
    ) {
      const file = this.running.get(event.payload.path);
      if (file?.test === event.payload.name) file.test = undefined;
      if (event.kind === "test_failed") this.failedTests++;
    }
  }

  private completed(payload: Extract<ProviumEvent, { kind: "file_completed" }>["payload"]): void {
    this.running.delete(payload.path);
    this.waiting.delete(payload.path);
    if (payload.status === "not_run") return;
    this.done++;
    this.spent += payload.duration_ns;
    if (payload.status !== "passed") this.failedFiles++;
  }

  private begin(ts: bigint): void {
    this.discovered = 0;
    this.done = 0;
    this.failedFiles = 0;
    this.failedTests = 0;
    this.spent = 0;
    this.over = false;
    this.pool = undefined;
    this.started = ts;
    this.running.clear();
    this.waiting.clear();
    this.expected.clear();
  }
}

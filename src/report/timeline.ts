/** When things of a run began and ended, in milliseconds from its start: what the HTML report draws. */

import type { Consumer } from "../events/stream.ts";
import type { EventPayloads, ProviumEvent } from "../events/types.ts";

export interface Span {
  readonly from: number;
  /** Undefined while it goes on. */
  to: number | undefined;
}

export interface MachineSpan extends Span {
  readonly name: string;
  readonly profile: string;
  readonly memory: number;
  readonly transport: string;
  readonly cid: number;
  readonly bootMs: number;
  /** What it ended as: `shutdown`, `dead`, and why. */
  end: string;
}

export interface Change {
  readonly at: number;
  readonly text: string;
}

export interface Attachment {
  readonly name: string;
  readonly type: string;
  readonly size: number;
  /** Base64; undefined when the report would become too large. */
  readonly data: string | undefined;
}

export interface FileTimes extends Span {
  readonly tests: Map<string, Span>;
  readonly machines: MachineSpan[];
  readonly changes: Change[];
  readonly attachments: Map<string, Attachment[]>;
}

export interface Build extends Span {
  readonly fixture: string;
  outcome: string;
}

/** Bytes of attachments that one report carries. */
const ATTACHED_BYTES = 48 * 1024 * 1024;
/** What tests do to their worlds is shown up to so many changes a file. */
const MOST_CHANGES = 500;
/** Samples of the pool; when there are more, every second one goes. */
const MOST_SAMPLES = 2000;

/** A thing that never ended, seen from the end of the run. */
const endAll = (spans: Iterable<Span>, at: number): void => {
  for (const span of spans) span.to ??= at;
};

export class Timeline {
  started = 0n;
  readonly files = new Map<string, FileTimes>();
  builds: Build[] = [];
  /** Milliseconds, bytes and CPUs in use. */
  pool: [number, number, number][] = [];
  poolTotal = { memory: 0, cpus: 0 };
  private attached = 0;

  readonly consume: Consumer = (event) => this.take(event);

  at(ts: bigint): number {
    return Math.round(Number(ts - this.started) / 1e4) / 100;
  }

  private take(event: ProviumEvent): void {
    const at = this.at(event.ts);
    switch (event.kind) {
      case "stream_started":
        this.begin(event.ts);
        return;
      case "run_started":
        this.poolTotal = { memory: event.payload.pool.memory_bytes, cpus: event.payload.pool.cpus };
        return;
      case "file_dispatched": {
        // Of a file that is tried again the last attempt is drawn.
        const tests = new Map<string, Span>();
        this.files.set(event.payload.path, {
          from: at,
          to: undefined,
          tests,
          machines: [],
          changes: [],
          attachments: new Map(),
        });
        return;
      }
      case "file_completed": {
        const file = this.files.get(event.payload.path);
        if (file !== undefined) endAll([file, ...file.tests.values(), ...file.machines], at);
        return;
      }
      case "test_started":
        this.files.get(event.payload.path)?.tests.set(event.payload.name, { from: at, to: undefined });
        return;
      case "test_passed":
      case "test_failed":
      case "test_skipped": {
        const test = this.files.get(event.payload.path)?.tests.get(event.payload.name);
        if (test !== undefined) test.to = at;
        return;
      }
      case "attachment":
        this.attach(event.payload);
        return;
      case "pool_state":
        this.sample(at, event.payload);
        return;
      case "run_completed":
        endAll(this.builds, at);
        return;
      default:
        this.takeOfMachines(event, at);
    }
  }

  private takeOfMachines(event: ProviumEvent, at: number): void {
    switch (event.kind) {
      case "vm_spawned": {
        const { file, vm_name: name, profile, memory_bytes: memory, transport, cid, boot_ns } = event.payload;
        const bootMs = boot_ns / 1e6;
        const from = Math.max(0, at - bootMs);
        const span = { from, to: undefined, name, profile, memory, transport, cid, bootMs, end: "" };
        this.files.get(file)?.machines.push(span);
        return;
      }
      case "vm_state": {
        const { file, vm_name, state, reason } = event.payload;
        const machine = this.files.get(file)?.machines.findLast(({ name }) => name === vm_name);
        if (machine !== undefined) machine.end = reason === undefined ? state : `${state}: ${reason}`;
        return;
      }
      case "vm_shutdown": {
        const { file, vm_name } = event.payload;
        const machine = this.files.get(file)?.machines.findLast(({ name }) => name === vm_name);
        if (machine !== undefined) machine.to = at;
        return;
      }
      case "fixture_build_started":
        this.builds.push({ from: at, to: undefined, fixture: event.payload.path, outcome: "cut off" });
        return;
      case "fixture_build_done":
      case "fixture_build_failed": {
        const build = this.builds.findLast(
          ({ fixture, to }) => fixture === event.payload.path && to === undefined,
        );
        if (build === undefined) return;
        build.to = at;
        build.outcome = event.kind === "fixture_build_done" ? "built" : `failed: ${event.payload.reason}`;
        return;
      }
      case "snapshot_taken":
      case "snapshot_restored":
        this.change(event.payload.file, at, `${event.kind.replace("_", " ")}: vm ${event.payload.vm_name}`);
        return;
      case "bridge_changed":
        this.change(
          event.payload.file,
          at,
          `bridge ${event.payload.bridge} ${event.payload.change}: ${event.payload.text}`,
        );
        return;
      case "fault_changed": {
        const { file, disk, fault, change, text } = event.payload;
        this.change(file, at, `fault ${fault} of disk ${disk} ${change}: ${text}`);
        return;
      }
      default:
    }
  }

  private change(path: string, at: number, text: string): void {
    const changes = this.files.get(path)?.changes;
    if (changes !== undefined && changes.length < MOST_CHANGES) changes.push({ at, text });
  }

  private attach({ path, test, name, media_type: type, data }: EventPayloads["attachment"]): void {
    const file = this.files.get(path);
    if (file === undefined) return;
    this.attached += data.byteLength;
    const kept = this.attached <= ATTACHED_BYTES;
    if (!kept) this.attached -= data.byteLength;
    const size = data.byteLength;
    const list = file.attachments.get(test) ?? [];
    list.push({ name, type, size, data: kept ? Buffer.from(data).toString("base64") : undefined });
    file.attachments.set(test, list);
  }

  private sample(at: number, { used }: EventPayloads["pool_state"]): void {
    this.pool.push([at, used.memory_bytes, used.cpus]);
    if (this.pool.length > MOST_SAMPLES) this.pool = this.pool.filter((_, i) => i % 2 === 0);
  }

  private begin(ts: bigint): void {
    this.started = ts;
    this.files.clear();
    this.builds = [];
    this.pool = [];
    this.attached = 0;
  }
}

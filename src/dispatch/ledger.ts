/**
 * Keeps the promises of the event stream for one file, whatever becomes of its runner: every test that started
 * ends once, every machine that was spawned is shut down, every claim is released, every build of a fixture ends.
 */

import { eventTime } from "../events/stream.ts";
import type { EventPayloads, ProviumEvent } from "../events/types.ts";

type TestStarted = EventPayloads["test_started"];

interface Since<T> {
  readonly ts: bigint;
  readonly payload: T;
}

const at = <K extends ProviumEvent["kind"]>(kind: K, payload: EventPayloads[K]): ProviumEvent =>
  ({ ts: eventTime(), kind, payload }) as ProviumEvent;

export class FileLedger {
  private readonly tests = new Map<string, Since<TestStarted>>();
  private readonly machines = new Map<string, Since<EventPayloads["vm_spawned"]>>();
  private readonly claims: EventPayloads["claim_acquired"][] = [];
  private readonly builds = new Map<string, bigint>();
  /** What the file as a whole had to say, when its runner got so far. */
  completion: EventPayloads["file_completed"] | undefined;

  constructor(private readonly path: string) {}

  /** The events to pass on for one that the runner sent: itself, nothing when it would break the order, or with a start that was missing. */
  admit(event: ProviumEvent): readonly ProviumEvent[] {
    switch (event.kind) {
      case "file_completed":
        this.completion = event.payload;
        return [];
      case "test_started":
        if (this.tests.has(event.payload.name)) return [];
        this.tests.set(event.payload.name, event);
        return [event];
      case "test_passed":
      case "test_failed":
      case "test_skipped": {
        const { name, meta } = event.payload;
        const started = this.tests.delete(name);
        return started ? [event] : [at("test_started", { path: this.path, name, meta }), event];
      }
      case "vm_spawned":
        this.machines.set(event.payload.vm_name, event);
        return [event];
      case "vm_shutdown":
        return this.machines.delete(event.payload.vm_name) ? [event] : [];
      case "claim_acquired":
        this.claims.push(event.payload);
        return [event];
      case "claim_released":
        return this.claims.shift() === undefined ? [] : [event];
      case "fixture_build_started":
        this.builds.set(event.payload.path, event.ts);
        return [event];
      case "fixture_build_done":
      case "fixture_build_failed":
        return this.builds.delete(event.payload.path) ? [event] : [];
      default:
        return [event];
    }
  }

  /** What is still owed when the file ends; `reason` says why the open tests did not get to their end. */
  settle(reason: string): readonly ProviumEvent[] {
    const now = eventTime();
    const owed: ProviumEvent[] = [];
    for (const [name, { ts, payload }] of this.tests)
      owed.push(
        at("test_failed", {
          path: this.path,
          name,
          duration_ns: Number(now - ts),
          reason,
          detail: {},
          console_excerpt: "",
          meta: payload.meta,
          log: [],
        }),
      );
    for (const [name, { ts, payload }] of this.machines)
      owed.push(at("vm_shutdown", { file: payload.file, vm_name: name, duration_ns: Number(now - ts) }));
    for (const [path, ts] of this.builds)
      owed.push(at("fixture_build_failed", { path, duration_ns: Number(now - ts), reason }));
    for (const { amount } of this.claims) owed.push(at("claim_released", { path: this.path, amount }));
    this.tests.clear();
    this.machines.clear();
    this.claims.length = 0;
    this.builds.clear();
    return owed;
  }
}

import { describe, expect, test } from "bun:test";
import { FileLedger } from "../../../src/dispatch/ledger.ts";
import type { EventKind, EventPayloads, ProviumEvent } from "../../../src/events/types.ts";

const event = <K extends EventKind>(kind: K, payload: EventPayloads[K]): ProviumEvent =>
  ({ ts: 1n, kind, payload }) as ProviumEvent;

const started = (name: string) => event("test_started", { path: "f", name, meta: {} });
const passed = (name: string) => event("test_passed", { path: "f", name, duration_ns: 1, meta: {}, log: [] });
const kinds = (events: readonly ProviumEvent[]) => events.map((one) => one.kind);

describe("file ledger", () => {
  test("a test that ended is not ended again", () => {
    const ledger = new FileLedger("f");
    expect(kinds(ledger.admit(started("a")))).toEqual(["test_started"]);
    expect(kinds(ledger.admit(passed("a")))).toEqual(["test_passed"]);
    expect(ledger.settle("gone")).toEqual([]);
  });

  test("an end without start gets its start", () => {
    expect(kinds(new FileLedger("f").admit(passed("a")))).toEqual(["test_started", "test_passed"]);
  });

  test("a shutdown without its machine is dropped", () => {
    const ledger = new FileLedger("f");
    expect(ledger.admit(event("vm_shutdown", { file: "f", vm_name: "a", duration_ns: 1 }))).toEqual([]);
  });

  test("open tests, machines and claims are settled once", () => {
    const ledger = new FileLedger("f");
    ledger.admit(started("a"));
    ledger.admit(
      event("vm_spawned", {
        file: "f",
        vm_name: "v",
        profile: "p",
        memory_bytes: 1,
        cid: 3,
        transport: "serial",
        boot_ns: 1,
      }),
    );
    ledger.admit(event("claim_acquired", { path: "f", amount: { memory_bytes: 5, cpus: 1 } }));
    expect(kinds(ledger.settle("gone"))).toEqual(["test_failed", "vm_shutdown", "claim_released"]);
    expect(ledger.settle("gone")).toEqual([]);
  });
});

/** One run with every outcome and every kind of event, the same each time: what the golden reports are made from. */

import type { EventKind, EventPayloads, ProviumEvent } from "../../../src/events/types.ts";

const START = 1_700_000_000_000_000_000n;

export const story = (): readonly ProviumEvent[] => {
  const events: ProviumEvent[] = [];
  let now = 0;
  /** One event, `ms` after the one before. */
  const say = <K extends EventKind>(ms: number, kind: K, payload: EventPayloads[K]): void => {
    now += ms;
    events.push({ ts: START + BigInt(now) * 1_000_000n, kind, payload } as ProviumEvent);
  };
  const GiB = 2 ** 30;
  const amount = { memory_bytes: GiB, cpus: 2 };
  const pool = { memory_bytes: 8 * GiB, cpus: 4 };
  const meta = { spec: "3.2", tags: ["net"], weight: 2n ** 60n };
  const [a, b, c, d, e, f] = [
    "a.test.lua",
    "net/b.test.lua",
    "c.test.lua",
    "d.lua",
    "e.test.lua",
    "f.test.lua",
  ] as [string, string, string, string, string, string];

  say(0, "stream_started", { protocol_version: 2, host_version: "0.1.0" });
  for (const path of [a, b, c, d, e, f])
    say(0, "file_discovered", {
      path,
      dialect: path === d ? "classic" : "lab",
      fixture_refs: path === a ? ["base"] : [],
      location: `tests/${path}`,
      expected_ns: 2_000_000_000,
    });
  say(1, "run_started", {
    jobs: 2,
    pool,
    vmm: "qemu",
    accel: "tcg",
    transport: "serial",
    rerun: ["provium", "{file}", "--accel", "tcg"],
    seed: "42",
  });
  say(0, "notice", { level: "info", text: "no /dev/kvm: using TCG" });
  say(0, "notice", { level: "warning", text: 'provium.toml:3: unknown key `rots`, did you mean "roots"?' });

  say(5, "file_dispatched", { path: a, reservation: { memory_bytes: GiB / 16, cpus: 0 } });
  say(1, "claim_acquired", { path: a, amount });
  say(1, "fixture_build_started", { path: "base" });
  say(5, "file_dispatched", { path: b, reservation: { memory_bytes: GiB / 16, cpus: 0 } });
  say(1, "file_blocked", { path: c, waiting_for: amount, reason: "pool_full" });
  say(1, "fixture_build_waiting", { path: "base", held_by_file: b });
  say(900, "fixture_build_done", { path: "base", duration_ns: 907_000_000, snapshot_bytes: 70_000_000 });
  say(2, "fixture_cache_hit", { path: "base" });
  const vm = {
    profile: "default",
    memory_bytes: GiB / 4,
    cid: 0,
    transport: "serial",
    boot_ns: 1_500_000_000,
  };
  say(10, "vm_spawned", { file: a, vm_name: "web", ...vm });
  say(40, "pool_state", {
    used: { memory_bytes: GiB, cpus: 2 },
    available: { memory_bytes: 7 * GiB, cpus: 2 },
  });
  say(1, "test_started", { path: a, name: "adds", meta });
  say(1, "output", { path: a, text: "hello\n" });
  say(18, "test_passed", {
    path: a,
    name: "adds",
    duration_ns: 20_000_000,
    meta,
    log: ["one", "two\nlines"],
  });
  say(1, "test_started", { path: a, name: "slow one", meta: {} });
  say(0, "test_skipped", {
    path: a,
    name: "slow one",
    reason: "filtered: slow tests skipped",
    meta: {},
    log: [],
  });
  say(1, "test_started", { path: a, name: "keeps # things \\ here", meta: {} });
  say(1, "attachment", {
    path: a,
    test: "keeps # things \\ here",
    name: "trace.txt",
    media_type: "text/plain",
    data: new TextEncoder().encode("line <1>\nline \u001b[31m2\n"),
  });
  say(1, "op", { file: a, vm_name: "web", operation: "run", duration_ns: 4_000_000 });
  say(1, "op", { file: a, vm_name: "web", operation: "read_file", duration_ns: 90_000, error: "ENOENT" });
  say(1, "snapshot_taken", { file: a, vm_name: "web", duration_ns: 30_000_000, bytes: 70_000_000 });
  say(1, "snapshot_restored", { file: a, vm_name: "web", duration_ns: 60_000_000 });
  say(1, "bridge_changed", { file: a, bridge: "lan", change: "impaired", text: "web → db: latency 20 ms" });
  say(1, "fault_changed", { file: a, disk: "data", fault: "eio_read", change: "set", text: "sectors 0..7" });
  say(20, "test_passed", {
    path: a,
    name: "keeps # things \\ here",
    duration_ns: 30_000_000,
    meta: {},
    log: [],
  });
  say(1, "vm_state", { file: a, vm_name: "web", state: "shutdown" });
  say(1, "vm_shutdown", { file: a, vm_name: "web", duration_ns: 1_700_000_000 });
  say(1, "claim_released", { path: a, amount });
  say(1, "file_completed", { path: a, status: "passed", duration_ns: 1_100_000_000 });

  say(1, "file_dispatched", { path: c, reservation: { memory_bytes: GiB / 16, cpus: 0 } });
  say(10, "vm_spawned", { file: b, vm_name: "db", ...vm });
  say(1, "test_started", { path: b, name: "boots \u001b[2J", meta: {} });
  say(1, "test_started", { path: b, name: "boots \u001b[2J/part", meta: {}, parent: "boots \u001b[2J" });
  say(1, "output", { path: b, text: "::error::not a command\n\u001b[1A\u001b[2Kevil\n" });
  say(1, "test_failed", {
    path: b,
    name: "boots \u001b[2J/part",
    duration_ns: 1_000_000,
    reason: 'net/b.test.lua:12: assertion failed: {1, 2, x = "long"} ~= {1, 3, x = "long"}',
    detail: {
      file: b,
      line: 12,
      source: "t:assert_eq(a, b)",
      excerpt: {
        first_line: 10,
        lines: ['test("boots", function(t)', "  local a, b = one(), two()", "  \tt:assert_eq(a, b)", "end)"],
        column: 6,
      },
      comparison: {
        left_name: "first",
        left: '{\n  1,\n  2,\n  x = "long",\n}',
        right_name: "second",
        right: '{\n  1,\n  3,\n  x = "long",\n}',
      },
      traceback: "stack traceback:\n\tnet/b.test.lua:12: in function <net/b.test.lua:10>",
    },
    console_excerpt:
      "--- console of vm `db` (booted)\n[    0.1] Linux\r\n[    0.2] panic \u001b]0;title\u0007\n",
    meta: {},
    log: ["first", "sec\u202eond"],
  });
  say(1, "test_failed", {
    path: b,
    name: "boots \u001b[2J",
    duration_ns: 2_000_000,
    reason: "subtest `part` failed: expected 1, got ]]> & \ufffe",
    detail: { hint: "look at a" },
    console_excerpt: "",
    meta: {},
    log: [],
  });
  say(1, "vm_state", { file: b, vm_name: "db", state: "dead", reason: "the guest's kernel panicked" });
  say(1, "vm_shutdown", { file: b, vm_name: "db", duration_ns: 1_600_000_000 });
  say(1, "file_completed", { path: b, status: "failed", duration_ns: 1_200_000_000 });

  say(1, "file_dispatched", { path: d, reservation: { memory_bytes: GiB / 16, cpus: 0 } });
  say(1, "test_started", { path: c, name: "sometimes", meta: {} });
  say(5, "test_failed", {
    path: c,
    name: "sometimes",
    duration_ns: 5_000_000,
    reason: "c.test.lua:3: not yet",
    detail: { file: c, line: 3 },
    console_excerpt: "",
    meta: {},
    log: [],
  });
  say(1, "file_retried", { path: c, attempt: 1, status: "failed", duration_ns: 8_000_000 });
  say(1, "file_dispatched", { path: c, reservation: { memory_bytes: GiB / 16, cpus: 0 }, attempt: 2 });
  say(1, "test_started", { path: c, name: "sometimes", meta: {} });
  say(5, "test_passed", { path: c, name: "sometimes", duration_ns: 4_000_000, meta: {}, log: [] });
  say(1, "file_completed", { path: c, status: "passed", duration_ns: 9_000_000, flaky: true });

  say(300, "file_completed", {
    path: d,
    status: "timed_out",
    duration_ns: 300_000_000,
    error: "the file's deadline of 300 ms has passed",
  });
  say(1, "file_dispatched", { path: e, reservation: { memory_bytes: GiB / 16, cpus: 0 } });
  say(1, "test_started", { path: e, name: "kills its runner", meta: {} });
  const why = "the runner was killed by SIGKILL";
  say(1, "test_failed", {
    path: e,
    name: "kills its runner",
    duration_ns: 1_000_000,
    reason: why,
    detail: {},
    console_excerpt: "",
    meta: {},
    log: [],
  });
  say(1, "file_completed", { path: e, status: "crashed", duration_ns: 3_000_000, error: why });
  say(1, "file_completed", {
    path: f,
    status: "not_run",
    duration_ns: 0,
    error: "the run ended before its turn",
  });
  say(1, "run_completed", { interrupted: false, duration_ns: 12_340_000_000 });
  return events;
};

import { describe, expect, test } from "bun:test";
import { faultMode, parseFault, sameTarget } from "../../../src/lab/disk-faults.ts";

const given = (options: Record<string, unknown>): Map<string | number, unknown> =>
  new Map(Object.entries(options));
const pair = (...values: unknown[]): Map<number, unknown> =>
  new Map(values.map((value, i) => [i + 1, value]));

describe("a fault", () => {
  test("without options strikes everything, always, for ever", () => {
    expect(parseFault("slow", undefined)).toEqual({
      mode: "slow",
      sectors: undefined,
      times: undefined,
      probability: 1,
      seed: 0n,
      delayMs: 50,
      keep: 1,
      bits: 1,
      onFlush: "store",
    });
  });

  test("takes one sector as a range, and any 64-bit integer as a seed", () => {
    const fault = parseFault("eio_read", given({ sectors: 7, seed: -1, times: 3 }));
    expect(fault).toMatchObject({ sectors: [7, 7], seed: 2n ** 64n - 1n, times: 3 });
  });

  test("replaces one of the same mode and sectors, no other", () => {
    const one = parseFault("eio_read", given({ sectors: pair(1, 2) }));
    expect(sameTarget(one, parseFault("eio_read", given({ sectors: pair(1, 2), times: 1 })))).toBe(true);
    expect(sameTarget(one, parseFault("eio_read", given({ sectors: pair(1, 3) })))).toBe(false);
    expect(sameTarget(one, parseFault("eio_read", undefined))).toBe(false);
    expect(sameTarget(one, parseFault("eio_write", given({ sectors: pair(1, 2) })))).toBe(false);
  });

  test("of an unknown mode is refused with the valid ones", () => {
    const valid = "eio_read, eio_write, slow, enospc, torn_write, lost_write, corrupt_read";
    expect(() => parseFault("eio", undefined)).toThrow(
      `disk:fault_inject: unknown mode \`eio\` (valid: ${valid})`,
    );
    expect(() => faultMode("", "disk:clear_faults")).toThrow("disk:clear_faults: unknown mode ``");
  });
});

test.each([
  ["slow", { bits: 1 }, "slow has no option `bits` (known: sectors, times, probability, seed, delay, ms)"],
  ["torn_write", { kep: 1 }, 'torn_write has no option `kep` (did you mean "keep"?)'],
  ["torn_write", { keep: -1 }, "opts.keep must be an integer from 0 on, got number -1"],
  ["eio_read", { times: 0 }, "opts.times must be an integer from 1 on, got number 0"],
  ["eio_read", { times: 1.5 }, "opts.times must be an integer from 1 on, got number 1.5"],
  ["corrupt_read", { bits: 0 }, "opts.bits must be an integer from 1 to 65536, got number 0"],
  [
    "corrupt_read",
    { bits: 2 ** 40 },
    "opts.bits must be an integer from 1 to 65536, got number 1099511627776",
  ],
  ["eio_read", { probability: 0 }, "opts.probability must be above 0 and at most 1, got number 0"],
  ["eio_read", { probability: 1.01 }, "opts.probability must be above 0 and at most 1, got number 1.01"],
  ["eio_read", { probability: Number.NaN }, "opts.probability must be above 0 and at most 1, got number NaN"],
  ["eio_read", { probability: true }, "opts.probability must be above 0 and at most 1, got boolean true"],
  ["eio_read", { sectors: -1 }, "opts.sectors must be a sector or {first, last}, got number -1"],
  ["eio_read", { sectors: pair(1, 2, 3) }, "opts.sectors must be a sector or {first, last}, got table"],
  ["eio_read", { sectors: pair(9, 3) }, "opts.sectors: the first sector, 9, lies behind the last, 3"],
  ["eio_read", { seed: 0.5 }, "opts.seed must be an integer, got number 0.5"],
  ["slow", { delay: "soon" }, 'bad timeout string "soon": disk:fault_inject: opts.delay must be a duration'],
  ["slow", { ms: -5 }, "opts.ms must be a number of milliseconds, got number -5"],
  ["slow", { ms: 5, delay: 1 }, "opts.delay and opts.ms say the same thing; give one of them"],
  ["slow", { delay: "2h" }, "a delay of 7200 s is more than an hour"],
  [
    "lost_write",
    { on_flush: "fail" },
    'opts.on_flush must be one of store, error, ignore, got string "fail"',
  ],
])("%s with %o is refused: %s", (mode, options, message) => {
  expect(() => parseFault(mode, given(options))).toThrow(message);
});

import { describe, expect, test } from "bun:test";
import {
  mergeBootOptions,
  type OptionContext,
  type OptionTable,
  type OptionValue,
  parseBootOptions,
} from "../../../src/lab/options.ts";
import { duration, memorySize } from "../../../src/lab/quantities.ts";

const lab: OptionContext = { call: "boot", flavour: "lab", resolve: (path) => `/base/${path}` };
const classic: OptionContext = { ...lab, flavour: "classic" };

/** A Lua table as the parser sees it. */
const table = (value: unknown): OptionTable =>
  new Map<string | number, OptionValue>(
    Array.isArray(value)
      ? value.map((item, i) => [i + 1, lua(item)])
      : Object.entries(value as object).map(([key, item]) => [key, lua(item)]),
  );
const lua = (value: unknown): OptionValue =>
  typeof value === "object" && value !== null && !(value instanceof Uint8Array)
    ? table(value)
    : (value as OptionValue);
const parse = (value: unknown, context = lab) => parseBootOptions(table(value), context);

describe("memory and durations", () => {
  test("a text of digits is MiB on a classic handle and bytes on a lab handle", () => {
    expect(memorySize("512", "classic", "memory")).toBe(512 * 2 ** 20);
    expect(memorySize("512", "lab", "memory")).toBe(512);
  });

  test("suffixes mean the same in both flavours", () => {
    for (const flavour of ["classic", "lab"] as const) {
      expect(memorySize("1G", flavour, "memory")).toBe(2 ** 30);
      expect(memorySize("1.5m", flavour, "memory")).toBe(1.5 * 2 ** 20);
    }
  });

  test("a number is a number of seconds and a text carries its unit", () => {
    expect(duration(1.5, "t")).toBe(1500);
    expect(["250ms", "4s", "3m", "1h", "2"].map((text) => duration(text, "t"))).toEqual([
      250, 4000, 180_000, 3_600_000, 2000,
    ]);
  });

  test("a malformed text is quoted back", () => {
    expect(() => duration("5 parsecs", "wait_until: timeout")).toThrow('bad timeout string "5 parsecs"');
  });

  test("NaN, infinity, negative values and tables are refused by name", () => {
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, -1, new Map(), true])
      expect(() => duration(bad, "run: opts.timeout")).toThrow(
        'run: opts.timeout must be a duration (number of seconds or "500ms")',
      );
  });
});

describe("boot options", () => {
  test("an unknown key gets a suggestion", () => {
    expect(() => parse({ memroy: "1G" })).toThrow(
      'boot: opts: unknown key `memroy` (did you mean "memory"?)',
    );
  });

  test("memory without a unit that cannot be meant says how to write it", () => {
    expect(() => parse({ memory: 512 })).toThrow("at least 16M, got 512 bytes");
  });

  test("a map of guest path to host path and an array of described files mix in one table", () => {
    const files = new Map<string | number, OptionValue>([
      ["/etc/a", "a.conf"],
      [1, table({ path: "/etc/b", content: "text", mode: "0755" })],
      [2, table({ path: "/etc/c", host: "c.conf", perm: 256 })],
    ]);
    expect(parseBootOptions(new Map([["files", files]]), lab).files).toEqual([
      { path: "/etc/a", host: "/base/a.conf" },
      { path: "/etc/b", content: new TextEncoder().encode("text"), host: undefined, mode: 0o755 },
      { path: "/etc/c", content: undefined, host: "/base/c.conf", mode: 0o400 },
    ]);
  });

  test("a file needs exactly one of content and host", () => {
    expect(() => parse({ files: [{ path: "/x" }] })).toThrow("exactly one of content and host");
    expect(() => parse({ files: [{ path: "/x", content: "", host: "h" }] })).toThrow("exactly one");
  });

  test("a guest path must be absolute and must not climb", () => {
    for (const path of ["etc/x", "/a/../b", "/etc/"])
      expect(() => parse({ files: [{ path, content: "" }] })).toThrow("an absolute guest path");
  });

  test("disks get the names that the guest gives them, unless told otherwise", () => {
    expect(
      parse({ disks: [{ path: "a.img" }, { path: "b.q", format: "qcow2", readonly: true }] }).disks,
    ).toEqual([
      { id: "vda", path: "/base/a.img", format: "raw", readonly: false },
      { id: "vdb", path: "/base/b.q", format: "qcow2", readonly: true },
    ]);
    expect(() => parse({ disks: [{ path: "a", format: "vmdk" }] })).toThrow(
      'must be "raw" or "qcow2", got string "vmdk"',
    );
    expect(() => parse({ disks: [{ path: "a", id: "vdb" }, { path: "b" }] })).toThrow(
      "id of an earlier disk",
    );
  });

  test("agent_timeout is another name of boot_timeout", () => {
    expect(parse({ agent_timeout: "5s" })).toEqual(parse({ boot_timeout: 5 }));
    expect(() => parse({ agent_timeout: 5, boot_timeout: 5 })).toThrow(
      "opts has both boot_timeout and agent_timeout, which are two names of one option",
    );
  });

  test("a clock starts where Linux can set it, and nowhere else", () => {
    expect(parse({ initial_time: 0 }).initialTime).toBe(0);
    expect(parse({ initial_time: 8_277_292_035 }).initialTime).toBe(8_277_292_035);
    for (const time of [-1, 8_277_292_036, 1e300, Number.NaN, Number.POSITIVE_INFINITY])
      expect(() => parse({ initial_time: time })).toThrow(
        `opts.initial_time must be a finite number of seconds since the epoch, from 0 to 8277292035 (year 2232), got number ${time}`,
      );
  });

  test("a seed takes any 64-bit integer", () => {
    expect(parse({ rng_seed: -1 }).rngSeed).toBe(2n ** 64n - 1n);
  });

  test("the memory text follows the flavour", () => {
    expect(parse({ memory: "256" }, classic).memoryBytes).toBe(256 * 2 ** 20);
  });

  test("later options replace earlier ones, files by guest path", () => {
    const base = parse({
      memory: "1G",
      cpus: 2,
      files: [
        { path: "/a", content: "1" },
        { path: "/b", content: "2" },
      ],
    });
    const merged = mergeBootOptions(base, parse({ cpus: 4, files: [{ path: "/b", content: "3" }] }));
    expect(merged.memoryBytes).toBe(2 ** 30);
    expect(merged.cpus).toBe(4);
    expect(merged.files?.map((file) => [file.path, new TextDecoder().decode(file.content)])).toEqual([
      ["/a", "1"],
      ["/b", "3"],
    ]);
  });
});

import { afterEach, beforeEach, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { tuneKsm } from "../../../src/dispatch/ksm.ts";
import { allowedFiles, DEFAULT_LIMITS, readPressure } from "../../../src/dispatch/pressure.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "provium-test-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const files = (values: Readonly<Record<string, string>>): void => {
  for (const [name, value] of Object.entries(values)) writeFileSync(join(directory, name), value);
};
const psi = (some: string) =>
  `some avg10=${some} avg60=72.30 avg300=31.21 total=166660035\nfull avg10=99.00 avg60=0.00 avg300=0.00 total=0\n`;

test("the kernel's account is read; a host without one does not throttle", () => {
  files({ cpu: psi("89.68"), memory: psi("0.00") });
  expect(readPressure(directory)).toEqual({ cpu: 89.68, memory: 0 });
  files({ memory: "gibberish" });
  expect(readPressure(directory)).toBeUndefined();
  expect(readPressure(join(directory, "none"))).toBeUndefined();
  expect(allowedFiles(undefined, DEFAULT_LIMITS)).toBe(Number.POSITIVE_INFINITY);
});

test("pressure beyond a limit lets few files run, that on memory fewer than that on CPUs", () => {
  expect(allowedFiles({ cpu: 50, memory: 20 }, DEFAULT_LIMITS)).toBe(Number.POSITIVE_INFINITY);
  expect(allowedFiles({ cpu: 50.1, memory: 0 }, DEFAULT_LIMITS)).toBe(2);
  expect(allowedFiles({ cpu: 99, memory: 20.1 }, DEFAULT_LIMITS)).toBe(1);
  expect(allowedFiles({ cpu: 99, memory: 99 }, { cpu: 100, memory: 100 })).toBe(Number.POSITIVE_INFINITY);
});

const read = (name: string): string => readFileSync(join(directory, name), "utf8").trim();

test("ksm is tuned and put back as it was", () => {
  files({ run: "0\n", pages_to_scan: "100\n", sleep_millisecs: "20\n" });
  const ksm = tuneKsm(directory);
  expect(ksm.notice).toBe("ksm tuned (run = on, pages_to_scan = 1000, sleep_millisecs = 100)");
  expect(["run", "pages_to_scan", "sleep_millisecs"].map(read)).toEqual(["1", "1000", "100"]);
  ksm.restore();
  expect(["run", "pages_to_scan", "sleep_millisecs"].map(read)).toEqual(["0", "100", "20"]);
  files({ run: "2" });
  ksm.restore();
  expect(read("run")).toBe("2");
});

test("where ksm cannot be tuned it is left as it was, and that is said", () => {
  files({ pages_to_scan: "100" });
  mkdirSync(join(directory, "sleep_millisecs"));
  chmodSync(join(directory, "pages_to_scan"), 0o644);
  expect(tuneKsm(directory).notice).toMatch(/^ksm is left alone: .* cannot be written \(EISDIR\)$/);
  expect(read("pages_to_scan")).toBe("100");
});

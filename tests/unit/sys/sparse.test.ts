import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Reactor } from "../../../src/sys/reactor.ts";
import {
  dataExtents,
  GRANULE_BYTES,
  SparseWriter,
  sparseSum,
  WINDOW_BYTES,
  windowsOf,
} from "../../../src/sys/sparse.ts";

let directory: string;
const reactor = new Reactor();
const path = (name: string): string => join(directory, name);

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "provium-unit-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const sumOf = (name: string): string => {
  const fd = openSync(path(name), "r");
  try {
    return reactor.run(sparseSum(fd)).text;
  } finally {
    closeSync(fd);
  }
};

/** Mostly zeros, with data at both ends of a window and in an odd tail. */
const content = (): Uint8Array => {
  const bytes = new Uint8Array(3 * WINDOW_BYTES + 12345);
  bytes.fill(7, 0, 100);
  bytes.fill(8, WINDOW_BYTES - 5, WINDOW_BYTES + 5);
  bytes.fill(9, 3 * WINDOW_BYTES + 12000);
  return bytes;
};

test("the sum of a file depends on its content, not on its holes", () => {
  const bytes = content();
  writeFileSync(path("full"), bytes);
  const writer = new SparseWriter(path("sparse"), bytes.byteLength);
  for (let at = 0; at < bytes.byteLength; at += WINDOW_BYTES)
    writer.put(at, bytes.slice(at, at + WINDOW_BYTES));
  writer.close();
  expect(readFileSync(path("sparse")).equals(bytes)).toBe(true);
  expect(statSync(path("sparse")).blocks).toBeLessThan(statSync(path("full")).blocks);
  expect(sumOf("sparse")).toBe(sumOf("full"));
  expect(writer.sum.text).toBe(sumOf("full"));
});

test("one byte elsewhere, or the same data elsewhere, is another sum", () => {
  const bytes = content();
  writeFileSync(path("a"), bytes);
  bytes[50]!++;
  writeFileSync(path("b"), bytes);
  const moved = new Uint8Array(bytes.byteLength);
  moved.set(content().subarray(0, 100), GRANULE_BYTES);
  writeFileSync(path("c"), moved);
  moved.copyWithin(0, GRANULE_BYTES, GRANULE_BYTES + 100).fill(0, GRANULE_BYTES, GRANULE_BYTES + 100);
  writeFileSync(path("d"), moved);
  expect(new Set(["a", "b", "c", "d"].map(sumOf)).size).toBe(4);
});

test("a file of nothing but holes has no extents", () => {
  writeFileSync(path("empty"), "");
  truncateSync(path("empty"), WINDOW_BYTES);
  const fd = openSync(path("empty"), "r");
  expect(dataExtents(fd)).toEqual([]);
  closeSync(fd);
});

test("windows cover every extent once, in order", () => {
  const W = WINDOW_BYTES;
  expect([...windowsOf([])]).toEqual([]);
  expect([...windowsOf([{ start: 5, end: 6 }])]).toEqual([0]);
  expect([
    ...windowsOf([
      { start: 10, end: W + 1 },
      { start: W + 2, end: W + 3 },
      { start: 5 * W, end: 6 * W },
    ]),
  ]).toEqual([0, W, 5 * W]);
});

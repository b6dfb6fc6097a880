import { expect, test } from "bun:test";
import { Lineage } from "../../../src/lab/lineage.ts";

test("a boot forgets what was before it", () => {
  const line = new Lineage();
  expect(line.now).toBe(0);
  line.begin();
  const first = line.now;
  expect(line.holds(first)).toBe(true);
  line.begin();
  expect(line.holds(first)).toBe(false);
  expect(line.lost(first)).toBe("ended with an earlier boot of that vm");
});

test("a restore keeps what was made before the snapshot and loses what came later", () => {
  const line = new Lineage();
  line.begin();
  const before = line.now;
  const saved = line.branch();
  const after = line.now;
  expect(line.holds(before)).toBe(true);
  expect(line.holds(after)).toBe(true);
  line.goBack(saved);
  expect(line.holds(before)).toBe(true);
  expect(line.holds(after)).toBe(false);
  expect(line.lost(after)).toBe("was made after the snapshot that its vm has been restored to");
});

test("going back behind a boot brings its handles back, and those of the boot are gone", () => {
  const line = new Lineage();
  line.begin();
  const old = line.now;
  const saved = line.branch();
  line.begin();
  const booted = line.now;
  line.goBack(saved);
  expect(line.holds(old)).toBe(true);
  expect(line.holds(booted)).toBe(false);
});

test("of two snapshots the earlier one does not hold what was made between them", () => {
  const line = new Lineage();
  line.begin();
  const first = line.branch();
  const between = line.now;
  const second = line.branch();
  line.goBack(second);
  expect(line.holds(between)).toBe(true);
  line.goBack(first);
  expect(line.holds(between)).toBe(false);
  line.goBack(second);
  expect(line.holds(between)).toBe(true);
});

import { describe, expect, test } from "bun:test";
import { Conditions } from "../../../src/lab/conditions.ts";

const PORTS = [
  { name: "a", id: 1 },
  { name: "b", id: 2 },
  { name: "c", id: 3 },
];

const pairs = (conditions: Conditions) =>
  conditions
    .plan(1n, PORTS)
    .pairs.map(({ from, to, cut, impairment }) => ({ way: `${from}-${to}`, cut, ...impairment }));

describe("what is wrong on a bridge", () => {
  test("is data, and the same again when that is loaded, in place of what was", () => {
    const conditions = new Conditions();
    conditions.set({ latencyNs: 5, loss: 0.5 });
    conditions.set({ latencyNs: 0, rateBps: 9 }, ["a", "b"]);
    conditions.cut([["b", "c"]]);
    conditions.isolate("c");
    const again = new Conditions();
    again.set({ corrupt: 1 }, ["a", "c"]);
    again.isolate("a");
    again.load(JSON.parse(JSON.stringify(conditions.state())));
    expect(pairs(again)).toEqual(pairs(conditions));
    expect(again.state()).toEqual(conditions.state());
  });

  test("a bridge without settings has a plan without pairs", () => {
    expect(pairs(new Conditions())).toEqual([]);
  });

  test("a setting of the whole bridge applies to each direction of each pair", () => {
    const conditions = new Conditions();
    conditions.set({ latencyNs: 5 });
    expect(pairs(conditions).map(({ way }) => way)).toEqual(["1-2", "1-3", "2-1", "2-3", "3-1", "3-2"]);
  });

  test("a direction takes its own value and keeps the bridge's others", () => {
    const conditions = new Conditions();
    conditions.set({ latencyNs: 5, loss: 0.5 });
    conditions.set({ latencyNs: 80 }, ["a", "b"]);
    expect(conditions.between("a", "b").impairment).toEqual({ latencyNs: 80, loss: 0.5 });
    expect(conditions.between("b", "a").impairment).toEqual({ latencyNs: 5, loss: 0.5 });
  });

  test("zero for a direction exempts it from the bridge's value", () => {
    const conditions = new Conditions();
    conditions.set({ loss: 0.5 });
    conditions.set({ loss: 0 }, ["a", "b"]);
    expect(pairs(conditions).map(({ way }) => way)).not.toContain("1-2");
    expect(pairs(conditions)).toHaveLength(5);
  });

  test("a later value replaces an earlier one, and zero ends it", () => {
    const conditions = new Conditions();
    conditions.set({ rateBps: 100 });
    conditions.set({ rateBps: 200 });
    expect(conditions.wholeOf("rateBps")).toBe(200);
    conditions.set({ rateBps: 0 });
    expect(pairs(conditions)).toEqual([]);
  });

  test("a cut of one direction leaves the other whole", () => {
    const conditions = new Conditions();
    conditions.cut([["a", "b"]]);
    expect(pairs(conditions)).toEqual([{ way: "1-2", cut: true }]);
    expect(conditions.isCut("b", "a")).toBe(false);
  });

  test("isolation cuts both directions to everybody and outlives mending", () => {
    const conditions = new Conditions();
    conditions.isolate("a");
    conditions.mendAll();
    expect(pairs(conditions).map(({ way }) => way)).toEqual(["1-2", "1-3", "2-1", "3-1"]);
    conditions.unisolate("a");
    expect(pairs(conditions)).toEqual([]);
  });

  test("a pulled cable cuts its port whatever else is set", () => {
    const conditions = new Conditions();
    const plan = conditions.plan(1n, [
      { name: "a", id: 1, down: true },
      { name: "b", id: 2 },
    ]);
    expect(plan.pairs.map(({ from, to, cut }) => [from, to, cut])).toEqual([
      [1, 2, true],
      [2, 1, true],
    ]);
  });

  test("what was said of a member goes with it", () => {
    const conditions = new Conditions();
    conditions.set({ loss: 1 }, ["a", "b"]);
    conditions.cut([["c", "a"]]);
    conditions.isolate("a");
    conditions.forget("a");
    expect(pairs(conditions)).toEqual([]);
  });

  test("reset ends impairments, cuts and isolation", () => {
    const conditions = new Conditions();
    conditions.set({ latencyNs: 1 });
    conditions.set({ loss: 1 }, ["a", "b"]);
    conditions.cut([["a", "b"]]);
    conditions.isolate("c");
    conditions.reset();
    expect(pairs(conditions)).toEqual([]);
  });
});

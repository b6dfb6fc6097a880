import { expect, test } from "bun:test";
import { Circles } from "../../../src/dispatch/fixture-circles.ts";

test("a wait that would close a circle is refused with the way round, and allowed once one of it has ended", () => {
  const circles = new Circles();
  expect(circles.enter("a", "b")).toBeUndefined();
  expect(circles.enter("b", "c")).toBeUndefined();
  expect(circles.enter("x", "b")).toBeUndefined();
  expect(circles.enter("c", "a")).toEqual(["c", "a", "b", "c"]);
  expect(circles.enter("a", "a")).toEqual(["a", "a"]);
  circles.leave("b", "c");
  expect(circles.enter("c", "a")).toBeUndefined();
});

test("who waits twice for the same waits until both are over", () => {
  const circles = new Circles();
  circles.enter("a", "b");
  circles.enter("a", "b");
  circles.leave("a", "b");
  expect(circles.enter("b", "a")).toEqual(["b", "a", "b"]);
  circles.leave("a", "b");
  circles.leave("a", "b");
  expect(circles.enter("b", "a")).toBeUndefined();
});

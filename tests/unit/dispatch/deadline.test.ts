import { expect, test } from "bun:test";
import { startDeadline } from "../../../src/dispatch/deadline.ts";

test("a deadline beyond what a timer can wait is not over at once", async () => {
  let over = false;
  const timer = startDeadline(600 * 3_600_000, () => {
    over = true;
  });
  await new Promise<void>((resolve) => void startDeadline(20, resolve));
  expect(over).toBe(false);
  clearTimeout(timer);
});

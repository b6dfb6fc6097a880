import { expect, test } from "bun:test";
import { standsFlagsFault } from "../../../src/boot/flags-fault.ts";

test("of embedded guests only those with the kernel that was looked at do without", () => {
  expect(standsFlagsFault("6.1.0-56-cloud-amd64")).toBe(true);
  expect(standsFlagsFault("6.12.107+deb13-cloud-amd64")).toBe(false);
  expect(standsFlagsFault("6.10.1")).toBe(false);
});

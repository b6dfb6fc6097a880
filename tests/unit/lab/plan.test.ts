import { expect, test } from "bun:test";
import type { Profile } from "../../../src/config/schema.ts";
import { kernelCmdline } from "../../../src/lab/plan.ts";

const embedded: Profile = {
  name: "default",
  origin: "embedded",
  architecture: "x86_64",
  cmdline: "quiet",
  modules: "auto",
  injectAgent: true,
  mountPseudoFs: true,
  guestOs: "linux",
  memoryBytes: 1 << 29,
  cpus: 1,
  qemuArgs: [],
};
const CONSOLES = "console=hvc0 console=ttyS0";

test("the embedded guest on one emulated CPU takes its ticks from the PIT", () => {
  expect(kernelCmdline(embedded, {}, "rdinit=/w", true)).toBe(`${CONSOLES} quiet nolapic_timer rdinit=/w`);
});

test("another kernel on an emulated PC does not check whether its timer's interrupts are late", () => {
  const other = { ...embedded, origin: "lab" } as const;
  expect(kernelCmdline(other, {}, "", true)).toBe(`${CONSOLES} quiet no_timer_check`);
  expect(kernelCmdline(other, {}, "", false)).toBe(`${CONSOLES} quiet`);
  expect(kernelCmdline(other, { kernelCmdline: "mine" }, "", true)).toBe(`${CONSOLES} mine`);
  expect(kernelCmdline({ ...other, architecture: "aarch64" }, {}, "", true)).not.toContain("no_timer_check");
});

test("more CPUs, acceleration, another kernel or a command line of the test's own keep the APIC timer", () => {
  expect(kernelCmdline(embedded, { cpus: 2 }, "", true)).toBe(`${CONSOLES} quiet`);
  expect(kernelCmdline(embedded, {}, "", false)).toBe(`${CONSOLES} quiet`);
  expect(kernelCmdline({ ...embedded, origin: "lab" }, {}, "", true)).not.toContain("nolapic_timer");
  expect(kernelCmdline(embedded, { kernelCmdline: "debug" }, "", true)).toBe(`${CONSOLES} debug`);
});

import { expect, test } from "bun:test";
import type { Profile } from "../../../src/config/schema.ts";
import { kernelCmdline, settled } from "../../../src/lab/plan.ts";

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
  expect(kernelCmdline(embedded, {}, "rdinit=/w", true)).toBe(`${CONSOLES} rdinit=/w nolapic_timer quiet`);
});

test("another kernel on an emulated PC does not check whether its timer's interrupts are late", () => {
  const other = { ...embedded, origin: "lab" } as const;
  expect(kernelCmdline(other, {}, "", true)).toBe(`${CONSOLES} no_timer_check quiet`);
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

test("the clock is told to the nanosecond, and a time that Linux cannot set is left out", () => {
  expect(kernelCmdline(embedded, { initialTime: 1000000000.25 }, "")).toBe(
    `${CONSOLES} provium.time=1000000000.250000000 quiet`,
  );
  expect(kernelCmdline(embedded, { initialTime: -1 }, "")).toBe(`${CONSOLES} quiet`);
});

test("what is ours stands where neither an rdinit= nor a -- of the test's own hides it, nor its rdinit= words for init", () => {
  const options = { kernelCmdlineAppend: "single rdinit=/mine -- after" };
  expect(kernelCmdline(embedded, options, "rdinit=/w provium.init=/i")).toBe(
    `${CONSOLES} rdinit=/w provium.init=/i quiet single -- after`,
  );
  expect(kernelCmdline(embedded, options, "")).toBe(`${CONSOLES} quiet single rdinit=/mine -- after`);
});

test("a deterministic machine hears nothing of the host's counter, and its seed is in the command line", () => {
  const words = kernelCmdline(
    embedded,
    { deterministic: true, rngSeed: 255n },
    "tsc_early_khz=2599998 tsc=reliable",
  );
  expect(words).toBe(
    `${CONSOLES} tsc=reliable tsc_early_khz=1000000 provium.mailbox=1 provium.seed=00000000000000ff quiet`,
  );
});

test("what a deterministic machine leaves open is settled, of others nothing", () => {
  expect(settled({}, () => 5n)).toEqual({});
  expect(settled({ deterministic: true }, () => 5n)).toEqual({
    deterministic: true,
    rngSeed: 5n,
    initialTime: 1_704_067_200,
  });
  expect(settled({ deterministic: true, rngSeed: 1n, initialTime: 0 }, () => 5n)).toMatchObject({
    rngSeed: 1n,
    initialTime: 0,
  });
});

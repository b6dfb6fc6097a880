import { afterAll, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HOST_ARCHITECTURE } from "../../../src/sys/architecture.ts";
import { Reactor } from "../../../src/sys/reactor.ts";
import { BOARDS } from "../../../src/vmm/architecture.ts";
import { type Capabilities, EVERYTHING, limits, refuseWhatCannotBe } from "../../../src/vmm/capabilities.ts";
import { askCapabilities } from "../../../src/vmm/introspection.ts";
import { findQemu } from "../../../src/vmm/program.ts";
import { type Told, tells } from "./telling.ts";

const directory = mkdtempSync(join(tmpdir(), "provium-introspection-"));
afterAll(() => rmSync(directory, { recursive: true }));
const env = { PATH: "/usr/bin:/bin" };

const ask = (program: string, architecture = HOST_ARCHITECTURE): Capabilities => {
  const reactor = new Reactor();
  return reactor.run(askCapabilities(program, BOARDS[architecture], { env }, reactor));
};
const asked = (told: Told): Capabilities => {
  const path = join(directory, "qemu");
  writeFileSync(path, `#!/bin/sh\n${tells(told)}\n`);
  chmodSync(path, 0o755);
  return ask(path, "x86_64");
};

const PC = ["i8042", "hpet", "sata", "smbus", "vmport", "usb", "smm", "memory-backend"];
const ALL: Told = {
  options: ["sandbox", "action", "chardev"],
  commands: ["blockdev-reopen", "stop"],
  board: PC,
  lpc: ["acpi-pci-hotplug-with-bridge-support"],
};

test("a QEMU that has everything is found to have it", () => {
  expect(asked(ALL)).toEqual(EVERYTHING);
});

test("what is missing is found by its name, one by one", () => {
  expect(asked({ ...ALL, options: ["action"] })).toEqual({ ...EVERYTHING, sandbox: false });
  expect(asked({ ...ALL, options: ["sandbox"] })).toEqual({ ...EVERYTHING, actions: false });
  expect(asked({ ...ALL, commands: ["x-blockdev-reopen"] })).toEqual({ ...EVERYTHING, reopen: false });
  expect(asked({ ...ALL, lpc: ["noreboot"] })).toEqual({ ...EVERYTHING, acpiPlug: false });
  expect(asked({ ...ALL, board: PC.slice(2) })).toEqual({ ...EVERYTHING, unknownOptions: ["i8042", "hpet"] });
});

test("the QEMU that is installed here answers", () => {
  expect(Object.keys(ask(findQemu(process.env)))).toEqual(Object.keys(EVERYTHING));
});

test("a program that is no QEMU is an error", () => {
  expect(() => ask("/bin/false")).toThrow("QEMU closed its monitor");
});

test("what is missing is told by what a test loses with it, and what costs nothing is not told", () => {
  expect(limits(EVERYTHING)).toEqual([]);
  expect(limits({ ...EVERYTHING, actions: false, unknownOptions: ["i8042"] })).toEqual([]);
  expect(limits({ ...EVERYTHING, reopen: false }).join()).toContain("resizing of disks");
  expect(limits({ ...EVERYTHING, sandbox: false, acpiPlug: false })).toHaveLength(2);
});

test("a seed that a QEMU cannot keep is refused, and only that", () => {
  const talks = { ...EVERYTHING, unknownOptions: ["dtb-randomness"] };
  expect(() => refuseWhatCannotBe({ rngSeed: 1n }, talks)).toThrow("rng_seed cannot be kept");
  expect(() => refuseWhatCannotBe({}, talks)).not.toThrow();
  expect(() => refuseWhatCannotBe({ rngSeed: 1n }, EVERYTHING)).not.toThrow();
});

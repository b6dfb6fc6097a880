import { expect, test } from "bun:test";
import { BRIDGE, ROOT_PORTS } from "../../../src/vmm/plug.ts";

const SLOTS = Array.from({ length: 31 }, (_, index) => index + 1);

/** The options of each device, by name. */
const devices = (args: readonly string[]): Record<string, string>[] =>
  args
    .filter((word) => word !== "-device")
    .map((word) =>
      Object.fromEntries(
        word
          .split(",")
          .slice(1)
          .map((option) => option.split("=") as [string, string]),
      ),
    );

test("the bridge has 31 places under one name", () => {
  expect(SLOTS.map(BRIDGE.place)).toEqual(SLOTS.map((slot) => ({ bus: "plug", addr: slot.toString(16) })));
});

test("each place of a board without ACPI is a port of its own, and no two ports share an address or a number", () => {
  const ports = devices(ROOT_PORTS.devices);
  expect(SLOTS.map((slot) => ROOT_PORTS.place(slot).bus)).toEqual(ports.map((port) => port.id as string));
  for (const key of ["addr", "chassis", "id"])
    expect(new Set(ports.map((port) => port[key])).size).toBe(SLOTS.length);
});

/**
 * A slice of the fault matrix (tests/chaos/matrix): what is quick, and each process once. `make chaos-matrix` tries every
 * cell.
 */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { runCell } from "./matrix/cell.ts";
import { Lane } from "./matrix/lane.ts";
import { buildPreload } from "./matrix/preload.ts";
import { CELLS, type Cell, nameOf } from "./matrix/table.ts";

const isQuick = ({ victim, fault, phase, stage }: Cell): boolean => {
  if (stage === "machine" || stage === "network" || stage === "disk")
    return fault === "kill" && phase === "call" && ["qemu", "switch", "disk"].includes(victim);
  if (phase === "call") return ["kill", "closed", "no descriptors", "clock back"].includes(fault);
  return phase === "idle" && fault === "kill";
};

let lane: Lane;
let preload = "";
beforeAll(() => {
  lane = new Lane();
  preload = buildPreload();
});
afterAll(() => lane[Symbol.dispose]());

test.each(CELLS.filter(isQuick).map((cell) => [nameOf(cell), cell] as const))(
  "%s ends as the table says and leaves nothing",
  async (_, cell) => {
    const result = await runCell(cell, lane, preload);
    expect(result.problems).toEqual([]);
  },
  600_000,
);

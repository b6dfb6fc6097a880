/**
 * A slice of the fault matrix (tests/chaos/matrix): what is quick, and each process once. `make chaos-matrix` tries every
 * cell.
 */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { runCell } from "./matrix/cell.ts";
import { Lane } from "./matrix/lane.ts";
import { buildPreload } from "./matrix/preload.ts";
import { CELLS, type Cell, nameOf } from "./matrix/table.ts";

/** Of what takes a machine, the death of each process that nothing else stands for. */
const DEATHS = [
  "qemu · kill · call (machine)",
  "switch · kill · call (network)",
  "holder · kill · call (kernel)",
  "disk · kill · call (disk)",
  "agent · kill · call (guest)",
  "runner · kill · build (machine)",
];

const isQuick = (cell: Cell): boolean => {
  const { fault, phase, stage } = cell;
  if (stage !== "local" && stage !== "worker") return DEATHS.includes(nameOf(cell));
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

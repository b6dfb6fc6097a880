/** How the executable is called for a cell. */

import { resolve } from "node:path";
import type { Cell } from "./table.ts";

export const EXECUTABLE = resolve(import.meta.dir, "../../../dist/provium");

/** Its arguments behind the files. With one CPU in the pool, nobody boots while a build that is over keeps its own. */
export const argumentsOf = ({ stage, phase }: Cell): string[] => [
  ...["--vmm", stage === "local" || stage === "worker" ? "local" : "qemu"],
  ...(stage === "kernel" ? ["--network", "kernel"] : []),
  ...(phase === "build" ? ["--cpus", "1"] : []),
  ...["--save-events", "events", "-v", "--jobs", "2", "--timeout", "180"],
];

/** The temporary directory is a small file system of the run's own, with the fixtures on it. */
const SMALL_DISK = `mount -t tmpfs -o size=512m tmpfs "$PROVIUM_TMPDIR" &&
  fixtures="$XDG_CACHE_HOME/provium/fixtures" && mkdir -p "$fixtures" "$PROVIUM_TMPDIR/fixtures" &&
  mount --bind "$PROVIUM_TMPDIR/fixtures" "$fixtures" && cd "$CHAOS_LANE/project" && "$0" "$@"; code=$?
  { ls -A "$PROVIUM_TMPDIR" | grep -vx -e fill -e fixtures; ls -A "$PROVIUM_TMPDIR/fixtures" | grep -e '^[.]' -e '[.]build$'; } >left
  exit $code`;

/** The command line of a cell. */
export const commandOf = (cell: Cell): string[] => {
  const command = [EXECUTABLE, ...argumentsOf(cell)];
  return cell.fault === "disk full"
    ? ["unshare", "-m", "--propagation", "private", "bash", "-c", SMALL_DISK, ...command]
    : command;
};

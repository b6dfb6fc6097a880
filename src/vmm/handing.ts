/**
 * Files that QEMU opens by name, for a QEMU that runs as somebody else (`run_as`) and reaches no directory of ours: it
 * inherits a descriptor and opens that again. Nobody else gets a right to anything.
 */

import { chmodSync, closeSync, existsSync, openSync } from "node:fs";
import { basename, join } from "node:path";
import type { LaunchSpec } from "../lab/ports.ts";
import { memoryCopy } from "../sys/memory-file.ts";
import type { Op } from "../sys/op.ts";
import type { Files } from "./arguments.ts";

/** What QEMU opens by name for a launch. */
export interface Opened {
  readonly spec: LaunchSpec;
  /** RAM of the snapshot that it goes on from. */
  readonly ram: string | undefined;
  /** Of a machine whose runs repeat. */
  readonly files: Files | undefined;
  /** hvc0 of any other: see arguments.ts. */
  readonly pipes: string | undefined;
}

/** Hands a descriptor over and returns its number in QEMU. */
type Give = (fd: number) => number;

const inherited = (number: number): string => `/proc/self/fd/${number}`;

/**
 * The name of a copy in memory: our files are for us alone, and QEMU wants to open RAM for writing even where it keeps
 * to itself what is written. `fd` stays the caller's.
 */
function* copyOf(fd: number, name: string, give: Give): Op<string> {
  return inherited(give(yield* memoryCopy(fd, name)));
}

function* copyOfFile(path: string | undefined, give: Give): Op<string | undefined> {
  if (path === undefined) return undefined;
  const fd = openSync(path, "r");
  try {
    return yield* copyOf(fd, basename(path), give);
  } finally {
    closeSync(fd);
  }
}

/**
 * The machine's own directory, under a name that leads past those above it: they stay closed, and whoever has no
 * descriptor of it does not get there.
 */
const directoryOf = (path: string, give: Give): string => {
  chmodSync(path, 0o711);
  return inherited(give(openSync(path, "r")));
};

/** Lets a file be written by whoever gets to it; made unless it is there. */
const writable = (path: string): void => {
  if (!existsSync(path)) closeSync(openSync(path, "wx", 0o600));
  chmodSync(path, 0o666);
};

/** The same under names that mean something to a QEMU of another user. `base`: the open file behind `ram`. */
export function* handOver({ spec, files, pipes }: Opened, base: number | undefined, give: Give): Op<Opened> {
  const kernel = yield* copyOfFile(spec.kernel, give);
  const initrd = yield* copyOfFile(spec.initrd, give);
  const directory = directoryOf(spec.directory, give);
  const named = (path: string): string => join(directory, basename(path));
  for (const path of files === undefined ? [`${pipes}.in`, `${pipes}.out`] : Object.values(files))
    writable(path);
  return {
    spec: { ...spec, kernel, initrd },
    ram: base === undefined ? undefined : yield* copyOf(base, "ram", give),
    files: files && { serial0: named(files.serial0), hvc0: named(files.hvc0), mailbox: named(files.mailbox) },
    pipes: pipes && named(pipes),
  };
}

/**
 * System calls by name. The numbers differ from architecture to architecture, the names do not; the table is made
 * from the kernel's headers by embed/syscalls.ts.
 */

import { ApiError } from "../errors/errors.ts";
import { nearest } from "../errors/suggest.ts";
import table from "./syscalls.json" with { type: "json" };

const calls: Readonly<Record<string, readonly (number | null)[]>> = table.calls;
const named = new Map(Object.entries(calls));

/** Architectures with a table, as uname(2) calls them. */
export const SYSCALL_MACHINES: readonly string[] = table.machines;

/** What the generic table of numbers has in place of the calls that only older architectures have. */
const SUCCESSORS: Readonly<Record<string, string>> = {
  access: "faccessat",
  chmod: "fchmodat",
  chown: "fchownat",
  creat: "openat",
  dup2: "dup3",
  epoll_create: "epoll_create1",
  epoll_wait: "epoll_pwait",
  eventfd: "eventfd2",
  fork: "clone",
  getdents: "getdents64",
  inotify_init: "inotify_init1",
  lchown: "fchownat",
  link: "linkat",
  lstat: "newfstatat",
  mkdir: "mkdirat",
  mknod: "mknodat",
  open: "openat",
  pipe: "pipe2",
  poll: "ppoll",
  readlink: "readlinkat",
  rename: "renameat2",
  rmdir: "unlinkat",
  select: "pselect6",
  signalfd: "signalfd4",
  stat: "newfstatat",
  symlink: "symlinkat",
  unlink: "unlinkat",
  utime: "utimensat",
  utimes: "utimensat",
  vfork: "clone",
};

/** Every name of any architecture, sorted. */
export const syscallNames = (): readonly string[] => [...named.keys()];

/** `name`, which must be a system call of some architecture. Throws ApiError with the nearest name. */
export const checkedSyscall = (name: string): string => {
  if (named.has(name)) return name;
  const near = nearest(name, named.keys());
  throw new ApiError(
    `unknown system call "${name}"${near === undefined ? "" : ` (did you mean "${near}"?)`}`,
    near === undefined
      ? { hint: `Names are the kernel's, without a prefix: openat, pipe2, … A number is taken too.` }
      : {},
  );
};

/** The number of a system call on a machine. Throws ApiError where either is unknown, or the machine lacks the call. */
export const syscallNumber = (name: string, machine: string): number => {
  const numbers = named.get(checkedSyscall(name)) as readonly (number | null)[];
  const column = SYSCALL_MACHINES.indexOf(machine);
  if (column < 0)
    throw new ApiError(`no numbers of system calls for ${machine} (known: ${SYSCALL_MACHINES.join(", ")})`, {
      hint: `Give the number of \`${name}\` itself.`,
    });
  const number = numbers[column];
  if (number !== null && number !== undefined) return number;
  const successor = SUCCESSORS[name];
  const others = SYSCALL_MACHINES.filter((_, index) => typeof numbers[index] === "number");
  throw new ApiError(
    `${machine} has no system call "${name}" (${others.join(", ")} ${others.length === 1 ? "has" : "have"} it)`,
    successor === undefined ? {} : { hint: `Use "${successor}", which every architecture has.` },
  );
};

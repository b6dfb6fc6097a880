/** What is done to a process from outside, by system calls that Bun has no function for. x86-64 and arm64 agree on the numbers but prlimit64. */

import { dlopen, FFIType, ptr } from "bun:ffi";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

const { i64, ptr: pointer, i32 } = FFIType;
const libc = dlopen("libc.so.6", {
  syscall: { args: [i64, i64, i64, i64, i64, i64], returns: i64 },
  prlimit: { args: [i32, i32, pointer, pointer], returns: i32 },
  setsockopt: { args: [i32, i32, i32, pointer, i32], returns: i32 },
  shutdown: { args: [i32, i32], returns: i32 },
  close: { args: [i32], returns: i32 },
}).symbols;

const SYS_PIDFD_OPEN = 434;
const SYS_PIDFD_GETFD = 438;
const SHUT_RDWR = 2;
const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
const SO_RCVBUF = 8;
const RLIMIT_NOFILE = 7;
const RLIMIT_AS = 9;

export interface Process {
  readonly pid: number;
  readonly parent: number;
  /** Name of the thread that leads it (comm of proc(5)). */
  readonly name: string;
  readonly command: readonly string[];
}

const processAt = (pid: number): Process | undefined => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const end = stat.lastIndexOf(")");
    if (stat[end + 2] === "Z") return undefined;
    return {
      pid,
      parent: Number(stat.slice(end + 2).split(" ")[1]),
      name: stat.slice(stat.indexOf("(") + 1, end),
      command: readFileSync(`/proc/${pid}/cmdline`, "latin1").split("\0").slice(0, -1),
    };
  } catch {
    return undefined;
  }
};

/** Children are of the thread that forked them: proc_tid_children(5). */
export const childrenOf = (pid: number): number[] => {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
      readFileSync(`/proc/${pid}/task/${thread}/children`, "latin1")
        .trim()
        .split(" ")
        .filter(Boolean)
        .map(Number),
    );
  } catch {
    return [];
  }
};

/** Every process below `pid`. */
export const descendants = (pid: number): Process[] =>
  childrenOf(pid).flatMap((child) => [processAt(child) ?? [], descendants(child)].flat());

/** Runs `act` with a copy of a descriptor of another process: pidfd_getfd(2). */
const withDescriptor = (pid: number, fd: number, act: (copy: number) => void): void => {
  const pidfd = Number(libc.syscall(SYS_PIDFD_OPEN, pid, 0, 0, 0, 0));
  if (pidfd < 0) throw new Error(`pidfd_open(${pid}) failed`);
  const copy = Number(libc.syscall(SYS_PIDFD_GETFD, pidfd, fd, 0, 0, 0));
  libc.close(pidfd);
  if (copy < 0) throw new Error(`pidfd_getfd(${pid}, ${fd}) failed`);
  act(copy);
  libc.close(copy);
};

/** Ends both directions of a socket of another process. */
export const cut = (pid: number, fd: number): void =>
  withDescriptor(pid, fd, (copy) => {
    if (libc.shutdown(copy, SHUT_RDWR) < 0) throw new Error(`shutdown of descriptor ${fd} of ${pid} failed`);
  });

/** Leaves a socket of another process the smallest buffers that the kernel knows. */
export const narrow = (pid: number, fd: number): void =>
  withDescriptor(pid, fd, (copy) => {
    for (const option of [SO_SNDBUF, SO_RCVBUF])
      libc.setsockopt(copy, SOL_SOCKET, option, ptr(Int32Array.of(1)), 4);
  });

const limit = (pid: number, resource: number, value: number): void => {
  if (libc.prlimit(pid, resource, ptr(BigUint64Array.of(BigInt(value), BigInt(value))), null) < 0)
    throw new Error(`prlimit(${pid}) failed`);
};

const openDescriptors = (pid: number): number[] =>
  readdirSync(`/proc/${pid}/fd`)
    .map(Number)
    .sort((a, b) => a - b);

/** From now on the process gets no further descriptor. */
export const noDescriptors = (pid: number): void => {
  const open = openDescriptors(pid);
  const free = open.findIndex((fd, place) => fd !== place);
  limit(pid, RLIMIT_NOFILE, free < 0 ? open.length : free);
};

/** From now on the process gets no further memory from the kernel. */
export const noMemory = (pid: number): void => {
  const kilobytes = /^VmSize:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1];
  limit(pid, RLIMIT_AS, Number(kilobytes) * 1024);
};

/** The first descriptor of a process that is a socket. */
export const firstSocket = (pid: number): number => {
  const found = openDescriptors(pid).find((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith("socket:");
    } catch {
      return false;
    }
  });
  if (found === undefined) throw new Error(`process ${pid} has no socket`);
  return found;
};

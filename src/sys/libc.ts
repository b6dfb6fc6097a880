/**
 * libc through Bun's FFI: the only place where the product calls C.
 *
 * Every wrapper reads `errno` right after the call that set it (any other FFI call may change it) and
 * throws a `SysError`, except where the caller needs to tell EAGAIN from failure; those return `-errno`.
 * Sources: the man pages of section 2 named at each function, and <sys/syscall.h> of x86-64 and arm64.
 */

import { CString, dlopen, FFIType, type Pointer, ptr, read } from "bun:ffi";
import { existsSync } from "node:fs";
import { HostError, SysError } from "../errors/errors.ts";

const { i32, i64, u32, u64, pointer, cstring } = FFIType;

/** glibc by its soname, musl by the names its loader goes by. */
const libraryName = (): string => {
  const musl = [`/lib/ld-musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`];
  const glibc = ["libc.so.6"];
  for (const path of musl) {
    if (
      existsSync(path) &&
      !existsSync("/lib64/ld-linux-x86-64.so.2") &&
      !existsSync("/lib/ld-linux-aarch64.so.1")
    )
      return path;
  }
  return glibc[0] as string;
};

const load: typeof dlopen = (name, symbols) => {
  try {
    return dlopen(name, symbols);
  } catch (cause) {
    throw new HostError(`the C library (${name}) cannot be called`, {
      cause,
      hint: "the compiler behind such calls reserves much address space: is it limited (`ulimit -v`)?",
    });
  }
};

const { symbols: c } = load(libraryName(), {
  __errno_location: { args: [], returns: pointer },
  strerror: { args: [i32], returns: cstring },
  read: { args: [i32, pointer, u64], returns: i64 },
  write: { args: [i32, pointer, u64], returns: i64 },
  writev: { args: [i32, pointer, i32], returns: i64 },
  close: { args: [i32], returns: i32 },
  lseek: { args: [i32, i64, i32], returns: i64 },
  poll: { args: [pointer, u64, i32], returns: i32 },
  fcntl: { args: [i32, i32, i64], returns: i32 },
  socket: { args: [i32, i32, i32], returns: i32 },
  socketpair: { args: [i32, i32, i32, pointer], returns: i32 },
  bind: { args: [i32, pointer, u32], returns: i32 },
  listen: { args: [i32, i32], returns: i32 },
  accept4: { args: [i32, pointer, pointer, i32], returns: i32 },
  connect: { args: [i32, pointer, u32], returns: i32 },
  getsockopt: { args: [i32, i32, i32, pointer, pointer], returns: i32 },
  setsockopt: { args: [i32, i32, i32, pointer, u32], returns: i32 },
  sendmsg: { args: [i32, pointer, i32], returns: i64 },
  recvmsg: { args: [i32, pointer, i32], returns: i64 },
  open: { args: [cstring, i32, u32], returns: i32 },
  linkat: { args: [i32, cstring, i32, cstring, i32], returns: i32 },
  mkfifo: { args: [cstring, u32], returns: i32 },
  ioctl: { args: [i32, u64, pointer], returns: i32 },
  kill: { args: [i32, i32], returns: i32 },
  alarm: { args: [u32], returns: u32 },
  waitid: { args: [i32, i32, pointer, i32], returns: i32 },
  flock: { args: [i32, i32], returns: i32 },
  dup: { args: [i32], returns: i32 },
  madvise: { args: [u64, u64, i32], returns: i32 },
  timerfd_create: { args: [i32, i32], returns: i32 },
  timerfd_settime: { args: [i32, i32, pointer, pointer], returns: i32 },
  pipe2: { args: [pointer, i32], returns: i32 },
  posix_spawn: { args: [pointer, cstring, pointer, pointer, pointer, pointer], returns: i32 },
  posix_spawn_file_actions_init: { args: [pointer], returns: i32 },
  posix_spawn_file_actions_destroy: { args: [pointer], returns: i32 },
  posix_spawn_file_actions_adddup2: { args: [pointer, i32, i32], returns: i32 },
  posix_spawn_file_actions_addopen: { args: [pointer, i32, cstring, i32, u32], returns: i32 },
  posix_spawnattr_init: { args: [pointer], returns: i32 },
  posix_spawnattr_destroy: { args: [pointer], returns: i32 },
  posix_spawnattr_setflags: { args: [pointer, i32], returns: i32 },
  posix_spawnattr_setsigmask: { args: [pointer, pointer], returns: i32 },
  posix_spawnattr_setsigdefault: { args: [pointer, pointer], returns: i32 },
  syscall: { args: [i64, i64, i64, i64, i64, i64, i64], returns: i64 },
});

export { c as libc };

/** The calling thread's errno. Read it right after the call that failed. */
export const errno = (): number => read.i32(c.__errno_location() as Pointer, 0);

/** The C library's words for an error number, as in "No such file or directory". */
export const describe = (code: number): string => String(c.strerror(code));

const ERRNO_NAMES: Readonly<Record<number, string>> = {
  1: "EPERM",
  2: "ENOENT",
  3: "ESRCH",
  4: "EINTR",
  5: "EIO",
  6: "ENXIO",
  7: "E2BIG",
  8: "ENOEXEC",
  9: "EBADF",
  10: "ECHILD",
  11: "EAGAIN",
  12: "ENOMEM",
  13: "EACCES",
  14: "EFAULT",
  15: "ENOTBLK",
  16: "EBUSY",
  17: "EEXIST",
  18: "EXDEV",
  19: "ENODEV",
  20: "ENOTDIR",
  21: "EISDIR",
  22: "EINVAL",
  23: "ENFILE",
  24: "EMFILE",
  25: "ENOTTY",
  26: "ETXTBSY",
  27: "EFBIG",
  28: "ENOSPC",
  29: "ESPIPE",
  30: "EROFS",
  31: "EMLINK",
  32: "EPIPE",
  33: "EDOM",
  34: "ERANGE",
  35: "EDEADLK",
  36: "ENAMETOOLONG",
  37: "ENOLCK",
  38: "ENOSYS",
  39: "ENOTEMPTY",
  40: "ELOOP",
  61: "ENODATA",
  62: "ETIME",
  71: "EPROTO",
  74: "EBADMSG",
  75: "EOVERFLOW",
  88: "ENOTSOCK",
  90: "EMSGSIZE",
  95: "EOPNOTSUPP",
  97: "EAFNOSUPPORT",
  98: "EADDRINUSE",
  99: "EADDRNOTAVAIL",
  101: "ENETUNREACH",
  103: "ECONNABORTED",
  104: "ECONNRESET",
  105: "ENOBUFS",
  106: "EISCONN",
  107: "ENOTCONN",
  110: "ETIMEDOUT",
  111: "ECONNREFUSED",
  112: "EHOSTDOWN",
  113: "EHOSTUNREACH",
  114: "EALREADY",
  115: "EINPROGRESS",
  116: "ESTALE",
  122: "EDQUOT",
  125: "ECANCELED",
};

/** "ENOENT" for 2; "errno 999" for a number without a name here. <asm-generic/errno.h>. */
export const errnoName = (code: number): string => ERRNO_NAMES[code] ?? `errno ${code}`;

export const EINTR = 4;
export const ENXIO = 6;
export const EAGAIN = 11;
export const EBUSY = 16;
export const ECONNABORTED = 103;
export const EINPROGRESS = 115;

/** Throws for a failed call: `operation` in the words of the man page. */
export const failed = (operation: string, code: number = errno()): never => {
  throw new SysError(operation, code, errnoName(code), describe(code));
};

/** The value, or throws when it is negative. */
export const check = (operation: string, value: number): number => (value < 0 ? failed(operation) : value);

/** Bytes read; 0 at end of file; `-errno` when the call failed (EINTR is retried). read(2). */
export const readSome = (fd: number, into: Uint8Array): number => {
  for (;;) {
    const n = Number(c.read(fd, into, into.byteLength));
    if (n >= 0) return n;
    const code = errno();
    if (code !== EINTR) return -code;
  }
};

/** Bytes written, or `-errno`. write(2). */
export const writeSome = (fd: number, bytes: Uint8Array): number => {
  for (;;) {
    const n = Number(c.write(fd, bytes, bytes.byteLength));
    if (n >= 0) return n;
    const code = errno();
    if (code !== EINTR) return -code;
  }
};

/** close(2); a second close of the same number would hit a stranger, so callers keep ownership. */
export const closeFd = (fd: number): void => {
  c.close(fd);
};

const F_DUPFD_CLOEXEC = 1030;

/** A further close-on-exec descriptor of the same open file. fcntl(2). */
export const dupFd = (fd: number): number => check("fcntl(F_DUPFD_CLOEXEC)", c.fcntl(fd, F_DUPFD_CLOEXEC, 0));

const F_SETFD = 2;
const F_GETFL = 3;
const F_SETFL = 4;
const O_NONBLOCK = 0o4000;

/** fcntl(2) O_NONBLOCK. */
export const setNonBlocking = (fd: number): void => {
  const flags = check("fcntl(F_GETFL)", c.fcntl(fd, F_GETFL, 0));
  check("fcntl(F_SETFL)", c.fcntl(fd, F_SETFL, flags | O_NONBLOCK));
};

/** fcntl(2) FD_CLOEXEC. */
export const setCloseOnExec = (fd: number): void => {
  check("fcntl(F_SETFD)", c.fcntl(fd, F_SETFD, 1));
};

export const AF_UNIX = 1;
export const AF_VSOCK = 40;
export const SOCK_STREAM = 1;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;

const SOL_SOCKET = 1;
const SO_SNDBUF = 7;

/**
 * A connected pair of close-on-exec Unix stream sockets. socketpair(2). `bufferBytes`: how much each end may send
 * ahead, as far as net.core.wmem_max allows (socket(7)); bulk data then wakes the two sides less often.
 */
export const socketPair = (bufferBytes?: number): [number, number] => {
  const pair = new Int32Array(2);
  check("socketpair", c.socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ptr(pair)));
  if (bufferBytes !== undefined) {
    const value = Int32Array.of(bufferBytes);
    // A refusal costs speed, not function.
    for (const fd of pair) c.setsockopt(fd, SOL_SOCKET, SO_SNDBUF, ptr(value), value.byteLength);
  }
  return [pair[0] as number, pair[1] as number];
};

/** The read and write end of a close-on-exec pipe. pipe(2). */
export const pipePair = (): [number, number] => {
  const pair = new Int32Array(2);
  check("pipe2", c.pipe2(ptr(pair), SOCK_CLOEXEC));
  return [pair[0] as number, pair[1] as number];
};

/** A NUL-terminated copy for a C string argument. Paths with NUL are refused by the caller. */
export const cText = (text: string): Uint8Array => new TextEncoder().encode(`${text}\0`);

export { CString, type Pointer, ptr };

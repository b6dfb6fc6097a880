/**
 * Child processes that belong to this process alone: started by posix_spawn, watched through a pidfd in the
 * reactor, reaped here. Bun never hears of them, because its own reaper turns only with its event loop.
 *
 * A child gets exactly the descriptors that the caller names: everything else is close-on-exec.
 * Sources: posix_spawn(3), pidfd_open(2), pidfd_send_signal(2), waitid(2), <spawn.h> of glibc and musl.
 */

import { HostError } from "../errors/errors.ts";
import { type Identity, identityText } from "./identity.ts";
import {
  check,
  closeFd,
  cText,
  describe,
  EAGAIN,
  errno,
  errnoName,
  failed,
  libc,
  pipePair,
  ptr,
  readSome,
  setNonBlocking,
} from "./libc.ts";
import { after, type Deadline, type Op, until } from "./op.ts";
import { POLLIN, Reactor, type Watch } from "./reactor.ts";

export const SIGTERM = 15;
export const SIGKILL = 9;
export const SIGCONT = 18;
export const SIGSTOP = 19;

/** How a process ended: `code` is the exit status, or the signal's number. */
export interface ProcessExit {
  readonly how: "exited" | "signalled";
  readonly code: number;
}

/** "exit status 1" or "signal 9", for messages. */
export const exitText = (exit: ProcessExit): string =>
  exit.how === "exited" ? `exit status ${exit.code}` : `signal ${exit.code}`;

export interface SpawnOptions {
  /** Path of the program; no search in PATH. */
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Which descriptor of ours becomes which one of the child. Standard input is /dev/null unless 0 is named. */
  readonly descriptors?: readonly { readonly from: number; readonly to: number }[];
  /** `provium-helper`: the child then dies with this process, however this process ends. */
  readonly helper?: string | undefined;
  /** With `helper`: it then gets SIGTERM instead of SIGKILL, because it has something to end first. */
  readonly asked?: boolean;
  /** With `helper`: it runs under SCHED_BATCH (sched(7)), so that whoever waits for an answer comes first. */
  readonly batch?: boolean;
  /** With `helper`: it is not whom we are. */
  readonly as?: Identity | undefined;
  /** A process group of its own, so that Ctrl-C in the terminal does not reach it. */
  readonly ownGroup?: boolean;
  /** Where unnamed stdout and stderr go: to the bounded tail (default), to ours, or to /dev/null. */
  readonly output?: "capture" | "inherit" | "discard";
}

// <spawn.h>, the same values in glibc and musl.
const POSIX_SPAWN_SETPGROUP = 2;
const POSIX_SPAWN_SETSIGDEF = 4;
const POSIX_SPAWN_SETSIGMASK = 8;
/** Room for posix_spawnattr_t (336 bytes) and posix_spawn_file_actions_t (80 bytes) of either library. */
const SPAWN_STRUCT_BYTES = 1024;
/** sigset_t of the C library, which is larger than the kernel's 8 bytes. */
const SIGSET_BYTES = 128;

const SYS_PIDFD_SEND_SIGNAL = 424;
const SYS_PIDFD_OPEN = 434;
const P_PID = 1;
const P_PIDFD = 3;
const WNOHANG = 1;
const WEXITED = 4;
const CLD_EXITED = 1;
const SIGINFO_BYTES = 128;
const F_DUPFD_CLOEXEC = 1030;
const O_RDWR = 2;

const TAIL_BYTES = 8 * 1024;
const REAP_MS = 5_000;

/** A NULL-terminated `char *[]` in one buffer: pointers first, then the texts. */
const textVector = (texts: readonly string[]): Uint8Array => {
  const encoded = texts.map(cText);
  const table = (texts.length + 1) * 8;
  // Over an ArrayBuffer from the start: asking a small typed array for its `buffer` later would move its bytes.
  const buffer = new Uint8Array(
    new ArrayBuffer(encoded.reduce((size, text) => size + text.byteLength, table)),
  );
  const view = new DataView(buffer.buffer);
  const base = BigInt(ptr(buffer));
  let at = table;
  encoded.forEach((text, i) => {
    view.setBigUint64(i * 8, base + BigInt(at), true);
    buffer.set(text, at);
    at += text.byteLength;
  });
  return buffer;
};

const environment = (env: SpawnOptions["env"]): string[] =>
  Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`]));

/** Calls posix_spawn and returns the process id. `map` must not name a source that is also a target. */
const posixSpawn = (
  program: string,
  argv: readonly string[],
  env: readonly string[],
  map: readonly { readonly from: number; readonly to: number }[],
  nulls: readonly number[],
  ownGroup: boolean,
): number => {
  const actions = new Uint8Array(SPAWN_STRUCT_BYTES);
  const attributes = new Uint8Array(SPAWN_STRUCT_BYTES);
  const ok = (call: string, code: number): void => {
    if (code !== 0) failed(call, code);
  };
  ok("posix_spawn_file_actions_init", libc.posix_spawn_file_actions_init(actions));
  ok("posix_spawnattr_init", libc.posix_spawnattr_init(attributes));
  try {
    const devNull = cText("/dev/null");
    for (const fd of nulls)
      ok(
        "posix_spawn_file_actions_addopen",
        libc.posix_spawn_file_actions_addopen(actions, fd, devNull as never, O_RDWR, 0),
      );
    for (const { from, to } of map)
      ok("posix_spawn_file_actions_adddup2", libc.posix_spawn_file_actions_adddup2(actions, from, to));
    const flags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | (ownGroup ? POSIX_SPAWN_SETPGROUP : 0);
    ok("posix_spawnattr_setflags", libc.posix_spawnattr_setflags(attributes, flags));
    ok(
      "posix_spawnattr_setsigmask",
      libc.posix_spawnattr_setsigmask(attributes, new Uint8Array(SIGSET_BYTES)),
    );
    const every = new Uint8Array(SIGSET_BYTES).fill(0xff);
    ok("posix_spawnattr_setsigdefault", libc.posix_spawnattr_setsigdefault(attributes, every));
    const pid = new Int32Array(1);
    const path = cText(program);
    const code = libc.posix_spawn(
      pid as unknown as Uint8Array,
      path as never,
      actions,
      attributes,
      textVector(argv),
      textVector(env),
    );
    if (code !== 0)
      throw new HostError(`cannot start ${program}: ${describe(code)} (${errnoName(code)})`, {
        hint: "check that the file exists, is executable and is built for this machine",
      });
    return pid[0] as number;
  } finally {
    libc.posix_spawn_file_actions_destroy(actions);
    libc.posix_spawnattr_destroy(attributes);
  }
};

/** The last bytes of a pipe that is drained by the reactor. */
class Tail {
  private bytes = new Uint8Array(0);
  private watch: Watch | undefined;

  constructor(
    private readonly fd: number,
    reactor: Reactor,
  ) {
    setNonBlocking(fd);
    this.watch = reactor.watch(fd, POLLIN, () => this.drain());
  }

  drain(): void {
    const chunk = new Uint8Array(TAIL_BYTES);
    while (this.watch !== undefined) {
      const n = readSome(this.fd, chunk);
      if (n === -EAGAIN) return;
      if (n <= 0) {
        this.close();
        return;
      }
      const joined = new Uint8Array(this.bytes.byteLength + n);
      joined.set(this.bytes);
      joined.set(chunk.subarray(0, n), this.bytes.byteLength);
      this.bytes = joined.subarray(Math.max(0, joined.byteLength - TAIL_BYTES));
    }
  }

  text(): string {
    return new TextDecoder().decode(this.bytes);
  }

  close(): void {
    if (this.watch === undefined) return;
    this.watch.close();
    this.watch = undefined;
    closeFd(this.fd);
  }
}

/** A running or ended child. `close` ends it at once and releases everything. */
export class Child {
  /** How it ended, once it has. */
  exit: ProcessExit | undefined;
  private listeners: ((exit: ProcessExit) => void)[] = [];
  private watch: Watch | undefined;

  constructor(
    readonly pid: number,
    private readonly pidfd: number,
    private readonly tail: Tail | undefined,
    reactor: Reactor,
  ) {
    this.watch = reactor.watch(pidfd, POLLIN, () => this.reap());
  }

  /** The last 8 KiB of stdout and stderr where they were captured. */
  output(): string {
    this.tail?.drain();
    return this.tail?.text() ?? "";
  }

  /** Called once when the process has ended; at once when it has ended already. */
  onExit(listener: (exit: ProcessExit) => void): void {
    if (this.exit === undefined) this.listeners.push(listener);
    else listener(this.exit);
  }

  /** Sends a signal; nothing happens when the process has ended. */
  signal(signal: number): void {
    if (this.exit !== undefined || this.watch === undefined) return;
    libc.syscall(SYS_PIDFD_SEND_SIGNAL, this.pidfd, signal, 0, 0, 0, 0);
  }

  /** Sends a signal to the group of a child that leads one (`ownGroup`). */
  signalGroup(signal: number): void {
    // Until it is reaped its number is nobody else's.
    if (this.exit === undefined && this.watch !== undefined) libc.kill(-this.pid, signal);
  }

  /** How it ended, or undefined when the deadline passed first. */
  *wait(deadline: Deadline): Op<ProcessExit | undefined> {
    yield* until(() => this.exit !== undefined, deadline);
    return this.exit;
  }

  /**
   * SIGKILL, reap, release; with `graceMs` that long is waited first for the process to end by itself.
   * Idempotent. Listeners hear of the end if they have not yet.
   */
  close(graceMs = 0): void {
    if (this.watch === undefined) return;
    const own = new Reactor();
    own.watch(this.pidfd, POLLIN, () => this.reap());
    if (this.exit === undefined && graceMs > 0) own.run(this.wait(after(graceMs)));
    if (this.exit === undefined) {
      this.signal(SIGKILL);
      own.run(this.wait(after(REAP_MS)));
    }
    this.release();
  }

  private reap(): void {
    if (this.exit !== undefined || this.watch === undefined) return;
    const info = new DataView(new ArrayBuffer(SIGINFO_BYTES));
    const result = libc.waitid(P_PIDFD, this.pidfd, info as unknown as Uint8Array, WEXITED | WNOHANG);
    // siginfo_t on 64-bit Linux: si_code at 8, si_pid at 16, si_status at 24; si_pid stays 0 while it runs.
    if (result === 0 && info.getInt32(16, true) === 0) return;
    this.exit =
      result < 0
        ? { how: "exited", code: -1 }
        : {
            how: info.getInt32(8, true) === CLD_EXITED ? "exited" : "signalled",
            code: info.getInt32(24, true),
          };
    this.tail?.drain();
    const listeners = this.listeners;
    this.listeners = [];
    const exit = this.exit;
    this.release();
    for (const listener of listeners) listener(exit);
  }

  private release(): void {
    if (this.watch === undefined) return;
    this.watch.close();
    this.watch = undefined;
    closeFd(this.pidfd);
    this.tail?.close();
  }
}

/** Starts a child. A program that cannot be executed is a `HostError`; through the helper it is exit status 127. */
export const spawn = (options: SpawnOptions, reactor: Reactor): Child => {
  const named = options.descriptors ?? [];
  const output = options.output ?? "capture";
  const open: number[] = [];
  const has = (fd: number): boolean => named.some(({ to }) => to === fd);
  let readEnd: number | undefined;
  try {
    const wanted = [...named];
    const nulls = has(0) ? [] : [0];
    for (const fd of [1, 2]) if (!has(fd) && output === "discard") nulls.push(fd);
    if (output === "capture" && !(has(1) && has(2))) {
      const [reader, writer] = pipePair();
      readEnd = reader;
      open.push(writer);
      for (const fd of [1, 2]) if (!has(fd)) wanted.push({ from: writer, to: fd });
    }
    // Sources move above every target first: then no dup2 in the child can overwrite a later source.
    const floor = Math.max(2, ...wanted.map(({ to }) => to)) + 1;
    const map = wanted.map(({ from, to }) => {
      const moved = check("fcntl(F_DUPFD_CLOEXEC)", libc.fcntl(from, F_DUPFD_CLOEXEC, floor));
      open.push(moved);
      return { from: moved, to };
    });
    const argv = [options.program, ...options.args];
    const program = options.helper ?? options.program;
    const pid = posixSpawn(
      program,
      options.helper === undefined
        ? argv
        : [
            options.helper,
            "exec",
            "--parent",
            String(process.pid),
            ...(options.asked ? ["--ask"] : []),
            ...(options.batch ? ["--batch"] : []),
            ...(options.as === undefined ? [] : ["--as", identityText(options.as)]),
            "--",
            ...argv,
          ],
      environment(options.env),
      map,
      nulls,
      options.ownGroup ?? false,
    );
    const pidfd = Number(libc.syscall(SYS_PIDFD_OPEN, pid, 0, 0, 0, 0, 0));
    if (pidfd < 0) {
      const code = errno();
      libc.kill(pid, SIGKILL);
      libc.waitid(P_PID, pid, new Uint8Array(SIGINFO_BYTES), WEXITED);
      failed("pidfd_open", code);
    }
    const tail = readEnd === undefined ? undefined : new Tail(readEnd, reactor);
    readEnd = undefined;
    return new Child(pid, pidfd, tail, reactor);
  } finally {
    for (const fd of open) closeFd(fd);
    if (readEnd !== undefined) closeFd(readEnd);
  }
};

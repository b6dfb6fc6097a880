/**
 * The wire between host and guest agent: the one definition that both sides share.
 *
 * A frame is a 4-byte big-endian length followed by a msgpack body `[kind, actor, request_id, payload]`.
 * The payload is an array: the fields of the message in the order of the table below, `nil` for an absent
 * optional one. A decoder ignores extra trailing fields and refuses everything else that does not fit.
 *
 * `agent/common/generate.ts` turns this table into the C structs, encoders and decoders of the agent, and
 * `src/guest/codec.ts` turns it into those of the host. Both decode the frames in `tests/golden/`.
 *
 * Order of a session: on a fresh connection (vsock) or after SYNC (serial, where a port has no connections)
 * the agent sends READY. Each request is answered by one OK or one ERROR with the same request id; answers
 * of different actors overtake one another, those of one actor do not. DATA, EXIT and TASK_GONE are pushed
 * with request id 0.
 *
 * Actors: 0 is the agent's I/O process, 1 the main task, 2 and up are workers.
 */

export const PROTOCOL_VERSION = 1;

/** Most bytes that one message carries in its buffers. */
export const MAX_CONTENT_BYTES = 16 * 1024 * 1024;

/**
 * Largest body of a frame in bytes: that content, and what stands around it. Anything longer is a protocol violation
 * and ends the session.
 */
export const MAX_FRAME_BYTES = MAX_CONTENT_BYTES + 64 * 1024;

/**
 * Sent in front of SYNC by the host and in front of the READY that answers it by the agent, on a serial port
 * only. Its first byte makes no valid frame length, so both sides can find it after whatever an earlier
 * session left in the pipe: between frames anywhere, and inside an unfinished frame when a read starts with
 * preamble and SYNC. Therefore: send both in one write, repeat them (with a fresh nonce) every half second
 * until READY arrives, skip everything before the preamble that the READY with this nonce follows.
 */
export const SYNC_PREAMBLE: readonly number[] = [
  0xff, 0x50, 0x52, 0x4f, 0x56, 0x49, 0x55, 0x4d, 0x9b, 0x1e, 0x83, 0xf4, 0xc2, 0x6d, 0x05, 0xa7,
];

/** AF_VSOCK port on which the agent listens. */
export const AGENT_PORT = 5123;

/** Name of the virtio-serial port that carries the agent channel. */
export const SERIAL_PORT_NAME = "org.provium.agent";

export const ACTOR_IO = 0;
export const ACTOR_MAIN = 1;

/**
 * Field types. `int` is a signed 64-bit integer (a `uint64` above 2^63 is sent as its two's complement),
 * `bytes` a msgpack bin or str, `ints` and `list` arrays of those. A trailing `?` allows nil.
 */
export type FieldType = "int" | "bool" | "bytes" | "ints" | "list" | "int?" | "bytes?" | "ints?" | "list?";

export interface MessageSpec {
  readonly kind: number;
  /** Fields of the request or push, in wire order. */
  readonly fields: Readonly<Record<string, FieldType>>;
  /** Fields of the OK that answers it; absent for a message that is not answered. */
  readonly reply?: Readonly<Record<string, FieldType>>;
  /** Who serves it: the I/O process itself or the task named by the actor. Absent for messages to the host. */
  readonly served?: "io" | "task";
}

const define = <const T extends Record<string, MessageSpec>>(table: T): T => table;

export const MESSAGES = define({
  // --- session -------------------------------------------------------------------------------------------
  /** agent → host. `boottime_ns`: CLOCK_BOOTTIME when the agent started; `nonce` echoes SYNC, 0 on vsock. */
  READY: {
    kind: 1,
    fields: {
      protocol: "int",
      agent_version: "bytes",
      kernel_release: "bytes",
      arch: "bytes",
      features: "list",
      boottime_ns: "int",
      nonce: "int",
      agent_pid: "int",
      task_pid: "int",
    },
  },
  /** host → agent, serial only: drop whatever the last session left behind and answer READY. */
  SYNC: { kind: 2, fields: { protocol: "int", nonce: "int" }, served: "io" },
  /** Positive answer; its fields are the `reply` of the request. */
  OK: { kind: 3, fields: {} },
  /** Negative answer. `errno` is 0 for refusals of the protocol itself; `operation` names what failed. */
  ERROR: { kind: 4, fields: { errno: "int", operation: "bytes", message: "bytes" } },
  /** host → agent: give up the request with this frame's id; it is answered with ERROR ECANCELED if it still runs. A task's blocking call is interrupted. */
  CANCEL: { kind: 5, fields: {}, served: "io" },
  /** Power-off: sync bounded by `sync_ms`, then reboot(2) POWER_OFF, then SysRq `o`. Answered by READY before that. */
  SHUTDOWN: { kind: 6, fields: { sync_ms: "int" }, reply: {}, served: "io" },
  /** Answered by the I/O process with the same bytes: liveness and the raw-echo benchmark. */
  ECHO: { kind: 7, fields: { data: "bytes" }, reply: { data: "bytes" }, served: "io" },
  /** What the agent holds right now, for leak checks. */
  STATE: {
    kind: 8,
    fields: {},
    reply: {
      processes: "int",
      tasks: "int",
      io_fds: "int",
      task_fds: "int",
      queued_bytes: "int",
      rss_bytes: "int",
    },
    served: "io",
  },
  /**
   * agent → host: the task `actor` ended. `how` as in EXIT, or 2: it replaced itself (execve) or closed the
   * agent's descriptors. Its pending requests are answered with ERROR; the next request to the main task gets a
   * fresh one, a worker stays gone and keeps its number until WORKER_END. Threads go with their process.
   */
  TASK_GONE: { kind: 9, fields: { actor: "int", how: "int", code: "int" } },

  /**
   * Brings the session to rest for a snapshot of the machine: the agent finishes the frame it is sending, answers,
   * and says nothing more until RESUME; what it has to say stays in its memory. Until the answer the host sends
   * nothing behind this, so then nothing is on its way in either direction. `token` names the session.
   */
  PARK: { kind: 13, fields: {}, reply: { token: "int" }, served: "io" },
  /**
   * Lets the parked session go on where it stood, with its processes and workers. Over vsock a parked session
   * outlives its connection, and RESUME is the first request of a new one, which takes its place (EBUSY: the old one
   * has not broken yet). Token 0 is the session that asks; a PARK that is still waiting is given up.
   */
  RESUME: { kind: 14, fields: { token: "int" }, reply: {}, served: "io" },

  /**
   * To a parked session, which stays parked: runs a command that does nothing, and answers when it is over. Of agents
   * with the feature `rehearsal`.
   */
  REHEARSE: { kind: 15, fields: {}, reply: { token: "int" }, served: "io" },

  // --- workers: further actors, each a task of its own -------------------------------------------------------
  /**
   * Makes actor `worker` (2 and up, chosen by the host, unique in the session) from the task that this frame's
   * actor names: a fork of it, or with `thread` a thread of it (CLONE_THREAD; that task is threaded from then
   * on). Answered by a WORKER_STARTED with this request's id, whose fields are the reply here, or by ERROR. The
   * worker is spoken to over the same channel by its actor number, on every transport. It ends with the session.
   */
  SPAWN_WORKER: {
    kind: 10,
    fields: { worker: "int", thread: "bool" },
    reply: { worker: "int", pid: "int", tid: "int", port: "int" },
    served: "task",
  },
  /**
   * agent → host: the positive answer to SPAWN_WORKER. `tid` differs from `pid` for a thread. `port` is 0: a
   * worker has no channel of its own.
   */
  WORKER_STARTED: { kind: 11, fields: { worker: "int", pid: "int", tid: "int", port: "int" } },
  /** Ends the worker (a fork is killed with SIGKILL, a thread leaves its loop), answers when it is gone. TASK_GONE is not sent for it. */
  WORKER_END: { kind: 12, fields: { worker: "int" }, reply: {}, served: "io" },

  // --- processes: started by a task (identity), owned by the I/O process (pipes, exit) ----------------------
  /**
   * `process`: handle chosen by the host, unique in the session. `argv[0]` is looked up in PATH of the
   * resulting environment. `env`: `K=V` entries laid over the task's environment, or all of it with
   * `env_clear`. `stdin_open`: keep a pipe for PROC_STDIN after `stdin`; else end of file follows `stdin`.
   * `timeout_ms`: SIGKILL to the whole group after that, 0 for never. `window`: credit in bytes for each of
   * stdout and stderr; the agent reads no more of a pipe than it has credit for. The command leads a session
   * and process group of its own. DATA and EXIT may overtake the OK. The handle frees itself once EXIT and
   * both ends of output were sent; PROC_CLOSE of a handle that is gone answers OK.
   */
  PROC_START: {
    kind: 16,
    fields: {
      process: "int",
      argv: "list",
      env: "list",
      env_clear: "bool",
      cwd: "bytes?",
      stdin: "bytes?",
      stdin_open: "bool",
      timeout_ms: "int",
      window: "int",
    },
    reply: { pid: "int" },
    served: "task",
  },
  /** agent → host: output of a process; `stream` 1 stdout, 2 stderr; `eof` ends that stream. */
  DATA: { kind: 17, fields: { process: "int", stream: "int", data: "bytes", eof: "bool" } },
  /** host → agent: the host consumed `bytes` of a stream. */
  CREDIT: { kind: 18, fields: { process: "int", stream: "int", bytes: "int" }, served: "io" },
  /** agent → host: `how` 0 exited with `code`, 1 ended by signal `code`. Output may follow (an orphan holds the pipe). */
  EXIT: { kind: 19, fields: { process: "int", how: "int", code: "int", timed_out: "bool" } },
  /** Signal to the process, or to its group with `group`. */
  PROC_SIGNAL: {
    kind: 20,
    fields: { process: "int", signal: "int", group: "bool" },
    reply: {},
    served: "io",
  },
  /** Answered when all of `data` is in the pipe: that is the back-pressure. */
  PROC_STDIN: { kind: 21, fields: { process: "int", data: "bytes", close: "bool" }, reply: {}, served: "io" },
  PROC_STATUS: {
    kind: 22,
    fields: { process: "int" },
    reply: { pid: "int", running: "bool", how: "int", code: "int" },
    served: "io",
  },
  /** Ends the process if it runs (SIGTERM to the group, SIGKILL after `grace_ms`), answers when it is reaped, frees the handle. */
  PROC_CLOSE: { kind: 23, fields: { process: "int", grace_ms: "int" }, reply: {}, served: "io" },

  /**
   * A stream out of a file, as a process of the agent's own whose stdout it is: DATA, CREDIT, EXIT, PROC_CLOSE
   * as for a command. Follows `path` with inotify: appended bytes come as they are written; changes in quick
   * succession may come in one DATA. A file that shrinks is read from its start again, one that is replaced
   * (rename, create) is read to its end and then followed under its name. `start` is an offset; negative counts
   * from the end (clamped to 0), and `from_end` begins at the end. `fd` not -1: follow this open description of
   * the task instead, from its cursor, which is not moved; `path` names it where that is known, else it is
   * empty. What is no regular file is read to its end. The status of the EXIT is the errno that stopped it.
   */
  TAIL_START: {
    kind: 24,
    fields: { process: "int", path: "bytes", fd: "int", start: "int", from_end: "bool", window: "int" },
    reply: { pid: "int" },
    served: "task",
  },
  /** Likewise reads a descriptor of the task (pipe, socket, device) until its end, and moves its cursor. */
  FD_STREAM_START: {
    kind: 25,
    fields: { process: "int", fd: "int", window: "int" },
    reply: { pid: "int" },
    served: "task",
  },

  // --- raw kernel interface ---------------------------------------------------------------------------------
  /**
   * `args`: up to six words. `bufs[i]` is copied into agent memory; its address replaces argument
   * `ptrs[i]` (0-based; -1: child only). `nested`: flat triples (parent, child, offset), 0-based buffer
   * indices: the address of `bufs[child]` is written at byte `offset` of `bufs[parent]`, 8 bytes native
   * order. `ret` is the raw kernel value (-errno on failure); `out` the buffers after the call.
   */
  SYSCALL: {
    kind: 32,
    fields: { nr: "int", args: "ints", bufs: "list", ptrs: "ints", nested: "ints" },
    reply: { ret: "int", out: "list" },
    served: "task",
  },
  /**
   * A system call that may block for ever, made by a helper cloned from the task with its memory and descriptors.
   * `process` is a handle as for a command: DATA of stream 1 is the msgpack array [ret, [out…]] of the SYSCALL
   * reply, followed by its end and EXIT; PROC_CLOSE cancels the call. What it does to its own identity (setuid,
   * unshare) does not hold for the task; descriptors, memory and directory are the same.
   */
  SYSCALL_START: {
    kind: 35,
    fields: {
      process: "int",
      nr: "int",
      args: "ints",
      bufs: "list",
      ptrs: "ints",
      nested: "ints",
      window: "int",
    },
    reply: { pid: "int" },
    served: "task",
  },
  /** `data` is copied in and passed by address; without it `arg` is passed. `offsets[i]`: where in `data` the address of `bufs[i]` goes. */
  IOCTL: {
    kind: 33,
    fields: { fd: "int", request: "int", arg: "int", data: "bytes?", bufs: "list", offsets: "ints" },
    reply: { ret: "int", data: "bytes?", out: "list" },
    served: "task",
  },
  /** Bytes of the task's own address space; EFAULT is an ERROR, never a crash. */
  READ_MEM: { kind: 34, fields: { address: "int", length: "int" }, reply: { data: "bytes" }, served: "task" },

  // --- files, in the task's view of the file system -----------------------------------------------------------
  /**
   * A whole file of at most `limit` bytes comes back in `data` with `fd` -1; of a larger one the first
   * `limit` bytes and an open descriptor to continue with FILE_READ and FILE_CLOSE.
   */
  FILE_GET: {
    kind: 48,
    fields: { path: "bytes", limit: "int" },
    reply: { data: "bytes", fd: "int" },
    served: "task",
  },
  /** Creates or truncates and writes `data`; with `more` the descriptor stays open for FILE_WRITE. `perm` -1: 0666 & ~umask, else set exactly. */
  FILE_PUT: {
    kind: 49,
    fields: { path: "bytes", data: "bytes", perm: "int", more: "bool" },
    reply: { fd: "int" },
    served: "task",
  },
  /** `mode` bits: read 1, write 2, create 4, truncate 8, append 16, exclusive 32. The descriptor is close-on-exec. */
  FILE_OPEN: {
    kind: 50,
    fields: { path: "bytes", mode: "int", perm: "int" },
    reply: { fd: "int" },
    served: "task",
  },
  /** `offset` -1 reads at the cursor. Empty `data` is end of file. */
  FILE_READ: {
    kind: 51,
    fields: { fd: "int", offset: "int", length: "int" },
    reply: { data: "bytes" },
    served: "task",
  },
  FILE_WRITE: {
    kind: 52,
    fields: { fd: "int", offset: "int", data: "bytes" },
    reply: { written: "int" },
    served: "task",
  },
  /** `whence` 0 set, 1 cur, 2 end. */
  FILE_SEEK: {
    kind: 53,
    fields: { fd: "int", offset: "int", whence: "int" },
    reply: { offset: "int" },
    served: "task",
  },
  FILE_CLOSE: { kind: 54, fields: { fd: "int" }, reply: {}, served: "task" },
  /** `type` is st_mode & S_IFMT. */
  STAT: {
    kind: 55,
    fields: { path: "bytes", follow: "bool" },
    reply: {
      size: "int",
      mtime_ns: "int",
      perm: "int",
      type: "int",
      uid: "int",
      gid: "int",
      ino: "int",
      nlink: "int",
    },
    served: "task",
  },
  /** `types[i]` is DT_* of `names[i]`. A directory too large for one answer comes with `fd` to continue with (path ignored), else -1. */
  LISTDIR: {
    kind: 56,
    fields: { path: "bytes", fd: "int" },
    reply: { names: "list", types: "ints", fd: "int" },
    served: "task",
  },
  MKDIR: { kind: 57, fields: { path: "bytes", parents: "bool", perm: "int" }, reply: {}, served: "task" },
  /** A file or an empty directory. */
  UNLINK: { kind: 58, fields: { path: "bytes" }, reply: {}, served: "task" },
  RENAME: { kind: 59, fields: { from: "bytes", to: "bytes" }, reply: {}, served: "task" },
  /** proc, sysfs, securityfs, devtmpfs where missing; answers which were mounted now. */
  MOUNT_VFS: { kind: 60, fields: {}, reply: { mounted: "list" }, served: "task" },

  // --- clock (CLOCK_REALTIME) -----------------------------------------------------------------------------------
  CLOCK_GET: { kind: 64, fields: {}, reply: { ns: "int" }, served: "task" },
  CLOCK_SET: { kind: 65, fields: { ns: "int" }, reply: {}, served: "task" },
  /** Adds `ns` (signed) and answers the time after it. */
  CLOCK_ADVANCE: { kind: 66, fields: { ns: "int" }, reply: { ns: "int" }, served: "task" },

  // --- network, in the network namespace of the I/O process, which is that of init -----------------------------------
  /**
   * Sets up the interface with the hardware address `mac` (6 bytes): brings it up with `mtu` (0: leaves that as it
   * is), gives it `addresses` ("10.1.2.3/24", "fd00::3/64"), removes `drop_routes`, adds `routes` ("10.2.0.0/24
   * 10.1.2.1": to, gateway). All of it may be there already. An interface that has not appeared yet is waited for,
   * at most `timeout_ms`, then ERROR ENODEV. IPv6 addresses are left out where the guest has no IPv6.
   */
  NET_SETUP: {
    kind: 72,
    fields: {
      mac: "bytes",
      mtu: "int",
      addresses: "list",
      routes: "list",
      drop_routes: "list",
      timeout_ms: "int",
    },
    reply: { name: "bytes", index: "int" },
    served: "io",
  },
  /** Makes `text`, lines of hosts(5), the harness's part of /etc/hosts below the root of PID 1; empty removes it. Guests only. */
  NET_HOSTS: { kind: 73, fields: { text: "bytes" }, reply: {}, served: "io" },
});

export type MessageName = keyof typeof MESSAGES;

type Integer = number | bigint;
type FieldValue<F extends FieldType> = F extends "int"
  ? Integer
  : F extends "bool"
    ? boolean
    : F extends "bytes"
      ? Uint8Array
      : F extends "ints"
        ? readonly Integer[]
        : F extends "list"
          ? readonly Uint8Array[]
          : F extends "int?"
            ? Integer | null
            : F extends "bytes?"
              ? Uint8Array | null
              : F extends "ints?"
                ? readonly Integer[] | null
                : readonly Uint8Array[] | null;

type Values<S extends Readonly<Record<string, FieldType>>> = { -readonly [K in keyof S]: FieldValue<S[K]> };

/** Values of a request or push. */
export type Payload<M extends MessageName> = Values<(typeof MESSAGES)[M]["fields"]>;
/** Values of the OK that answers it. */
export type Reply<M extends MessageName> = (typeof MESSAGES)[M] extends {
  reply: infer R extends Record<string, FieldType>;
}
  ? Values<R>
  : never;

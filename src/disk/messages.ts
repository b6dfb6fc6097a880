/**
 * What the host and the process behind a disk (`provium-helper disk`) say to each other: the one definition that
 * both sides share. Frames and payloads are those of `src/guest/messages.ts`; the C side is generated from here.
 *
 * The host asks, each request is answered by one OK or one ERROR with the same id; answers overtake one another
 * (a slow disk answers a sector call later). TROUBLE is pushed with request id 0. The process ends when its end of
 * the control socket is closed. Offsets and lengths are bytes.
 */

import type { MessageSpec } from "../guest/messages.ts";

const define = <const T extends Record<string, MessageSpec>>(table: T): T => table;

/** Most bytes of one READ or WRITE. */
export const MAX_TRANSFER_BYTES = 8 * 1024 * 1024;

export const DISK_MESSAGES = define({
  /** Positive answer; its fields are the `reply` of the request. */
  OK: { kind: 1, fields: {} },
  /** Negative answer. `injected`: a fault did it, not the host. */
  ERROR: { kind: 2, fields: { errno: "int", message: "bytes", injected: "bool" } },
  /**
   * disk → host: the host's own storage failed (its disk is full, the image was truncated). Once for each errno
   * until something was stored again.
   */
  TROUBLE: { kind: 3, fields: { errno: "int", offset: "int", write: "bool" } },
  /**
   * Opens the image, first of all and once. `create` not -1: a new sparse file of that size. `scratch`: nobody wants
   * it after this run, so that a flush need not reach the host's storage. `daemon`: the image is one that QEMU's block
   * layer must read; argument vector of a qemu-storage-daemon, to which the listening socket is given as
   * descriptor 3; `path` is then where that socket may lie for a moment.
   */
  OPEN: {
    kind: 16,
    fields: { path: "bytes", readonly: "bool", create: "int", scratch: "bool", daemon: "list" },
    reply: { size: "int" },
    served: "io",
  },
  /** Takes a client of the NBD protocol: the descriptor that comes with this frame (SCM_RIGHTS). */
  CONNECT: { kind: 17, fields: {}, reply: {}, served: "io" },
  /** Ends every client's connection; answered when none is left. What faults hold back is lost, as by a power cut. */
  DISCONNECT: { kind: 18, fields: {}, reply: {}, served: "io" },
  READ: { kind: 19, fields: { offset: "int", length: "int" }, reply: { data: "bytes" }, served: "io" },
  WRITE: { kind: 20, fields: { offset: "int", data: "bytes" }, reply: {}, served: "io" },
  FLUSH: { kind: 21, fields: {}, reply: {}, served: "io" },
  /** New size. Clients learn of it by a new connection. */
  RESIZE: { kind: 22, fields: { size: "int" }, reply: {}, served: "io" },
  /** Copies the content into a new raw file, sparsely, between two requests. */
  SAVE: { kind: 23, fields: { path: "bytes" }, reply: {}, served: "io" },
  /** Replaces the content by that of a raw file of the same size. */
  LOAD: { kind: 24, fields: { path: "bytes" }, reply: {}, served: "io" },

  /**
   * Adds a rule. `mode` and `on_flush` are indices of FAULT_MODES and FLUSH_RULES of `src/lab/disk-faults.ts`. It concerns requests that touch a byte of
   * [first, end); `end` -1: to the end of the disk. `times` -1: for ever. `probability` in units of 2^-32 (2^32: always),
   * drawn from a generator of this rule's own, seeded by `seed`. `delay_ns` of `slow`; `keep` sectors of `torn_write`;
   * `bits` flipped by `corrupt_read`.
   */
  FAULT_SET: {
    kind: 32,
    fields: {
      fault: "int",
      mode: "int",
      first: "int",
      end: "int",
      times: "int",
      probability: "int",
      seed: "int",
      delay_ns: "int",
      keep: "int",
      bits: "int",
      on_flush: "int",
    },
    reply: {},
    served: "io",
  },
  /** Removes the rule of that number; -1: all of them. One that is gone is no error. */
  FAULT_CLEAR: { kind: 33, fields: { fault: "int" }, reply: {}, served: "io" },
  /** The rules in force in the order in which they came: number, how often it struck, how often it still may (-1: for ever). */
  FAULT_LIST: { kind: 34, fields: {}, reply: { faults: "ints", hits: "ints", left: "ints" }, served: "io" },

  /** Begins to log every write and flush: `base` is a copy of the content now, `log` what comes then. */
  LOG_START: { kind: 48, fields: { base: "bytes", log: "bytes" }, reply: {}, served: "io" },
  LOG_STOP: { kind: 49, fields: {}, reply: {}, served: "io" },
  LOG_STATE: { kind: 50, fields: {}, reply: { writes: "int", flushes: "int" }, served: "io" },
  /**
   * Makes a raw image of what a crash leaves right after flush number `flush` (0: as the log began), with a choice
   * (index of UNFLUSHED of `src/lab/ports.ts`) of the writes up to the next flush.
   */
  LOG_IMAGE: {
    kind: 51,
    fields: { path: "bytes", flush: "int", unflushed: "int", seed: "int" },
    reply: {},
    served: "io",
  },
});

export type DiskMessageName = keyof typeof DISK_MESSAGES;

/**
 * The memory of a stopped QEMU, as its process has it: guest RAM and the firmware's ROM.
 *
 * QEMU is a child of ours, so proc(5) lets us read and write its memory (PTRACE_MODE_ATTACH), and its pagemap says
 * which pages are its own. RAM is an anonymous mapping (a machine that booted) or a private mapping of a snapshot's
 * RAM (one that was restored): in both the pages that somebody has written are private to the process, and all
 * others are zeros or those of the snapshot. Source: Documentation/admin-guide/mm/pagemap.rst of Linux.
 */

import { closeSync, openSync, readSync, writeSync } from "node:fs";
import { HostError } from "../errors/errors.ts";
import { after, type Op } from "../sys/op.ts";
import type { Extent } from "../sys/sparse.ts";
import type { Qmp } from "./qmp.ts";

const PAGE_BYTES = 4096;
const ENTRY_BYTES = 8;
/** Upper halves of pagemap entries: bits 63 (present), 62 (swapped), 61 (of a file). */
const IN_USE = 0xc0000000;
const OF_A_FILE = 0x20000000;
const COMMAND_MS = 10_000;
const FOUR_GIBIBYTES = 2 ** 32;

const openMemory = (path: string, flags: "r" | "r+"): number => {
  try {
    return openSync(path, flags);
  } catch (cause) {
    throw new HostError(
      `the memory of QEMU cannot be read: ${cause instanceof Error ? cause.message : cause}`,
      { cause, hint: "snapshots need ptrace rights over child processes: see kernel.yama.ptrace_scope" },
    );
  }
};

/** What HMP's `gpa2hva` says: where in QEMU's address space a guest-physical address lies. */
function* hostAddress(qmp: Qmp, guest: number): Op<number> {
  const said = yield* monitorCommand(qmp, `gpa2hva 0x${guest.toString(16)}`);
  const found = /is (0x[0-9a-f]+)/.exec(said)?.[1];
  if (found === undefined)
    throw new HostError(`QEMU does not tell where guest memory lies: ${said.trim() || "it said nothing"}`);
  return Number(found);
}

function* monitorCommand(qmp: Qmp, line: string): Op<string> {
  const said = yield* qmp.execute("human-monitor-command", { "command-line": line }, after(COMMAND_MS));
  return String(said);
}

/** Size of the firmware's ROM below 4 GiB, from HMP's list of RAM blocks (offset, used, whatever follows); 0 where there is none. */
function* firmwareBytes(qmp: Qmp): Op<number> {
  const blocks = yield* monitorCommand(qmp, "info ramblock");
  const used = /^\s*pc\.bios\s.*?\s0x[0-9a-f]+\s+(0x[0-9a-f]+)\s/m.exec(blocks)?.[1];
  return Number(used ?? 0);
}

/** Guest RAM. The machine must be stopped while it is looked at. */
export class GuestRam {
  private constructor(
    private readonly memory: number,
    private readonly address: number,
    /** Runs of pages that the process has of its own: written since it started. */
    readonly own: readonly Extent[],
  ) {}

  /** `base`: the guest-physical address of the first of its `bytes`. */
  static *open(qmp: Qmp, pid: number, base: number, bytes: number): Op<GuestRam> {
    const address = yield* hostAddress(qmp, base);
    const own = ownPages(pid, address, bytes);
    return new GuestRam(openMemory(`/proc/${pid}/mem`, "r"), address, own);
  }

  /** Lays the process' own pages between `offset` and the end of the window over what is in it. */
  overlay(window: Uint8Array, offset: number, from: number): number {
    const end = offset + window.byteLength;
    let at = from;
    for (let run = this.own[at]; run !== undefined && run.start < end; run = this.own[at]) {
      const start = Math.max(run.start, offset);
      const size = Math.min(run.end, end) - start;
      this.read(window, start - offset, size, this.address + start);
      if (run.end > end) break;
      at++;
    }
    return at;
  }

  close(): void {
    closeSync(this.memory);
  }

  private read(into: Uint8Array, at: number, size: number, address: number): void {
    for (let done = 0; done < size; ) {
      const n = readSync(this.memory, into, at + done, size - done, address + done);
      if (n === 0) throw new HostError("the memory of QEMU ended in the middle of guest RAM");
      done += n;
    }
  }
}

const ownPages = (pid: number, address: number, bytes: number): Extent[] => {
  const pages = Math.ceil(bytes / PAGE_BYTES);
  const entries = new Uint32Array((pages * ENTRY_BYTES) / 4);
  const into = new Uint8Array(entries.buffer);
  const fd = openMemory(`/proc/${pid}/pagemap`, "r");
  try {
    for (let done = 0; done < into.byteLength; ) {
      const n = readSync(fd, into, done, into.byteLength - done, (address / PAGE_BYTES) * ENTRY_BYTES + done);
      if (n === 0) break;
      done += n;
    }
  } finally {
    closeSync(fd);
  }
  return ownRuns(entries);
};

/** Runs of pages, as byte offsets, whose pagemap entry (two words each, low first) says that they are private. Pure. */
export const ownRuns = (entries: Uint32Array): Extent[] => {
  const runs: Extent[] = [];
  let start = -1;
  const pages = entries.length / 2;
  for (let page = 0; page <= pages; page++) {
    const upper = page < pages ? (entries[2 * page + 1] as number) : 0;
    const own = (upper & IN_USE) !== 0 && (upper & OF_A_FILE) === 0;
    if (own && start < 0) start = page;
    if (!own && start >= 0) {
      runs.push({ start: start * PAGE_BYTES, end: page * PAGE_BYTES });
      start = -1;
    }
  }
  return runs;
};

/** The firmware's ROM, which a restart of the guest needs; empty where the machine has none. */
export function* readFirmware(qmp: Qmp, pid: number): Op<Uint8Array> {
  const rom = new Uint8Array(yield* firmwareBytes(qmp));
  if (rom.byteLength === 0) return rom;
  const address = yield* hostAddress(qmp, FOUR_GIBIBYTES - rom.byteLength);
  const memory = openMemory(`/proc/${pid}/mem`, "r");
  try {
    readSync(memory, rom, 0, rom.byteLength, address);
  } finally {
    closeSync(memory);
  }
  return rom;
}

/** QEMU leaves its ROMs to the migration stream, which ours is not: puts the firmware where it belongs. */
export function* writeFirmware(qmp: Qmp, pid: number, rom: Uint8Array): Op<void> {
  if (rom.byteLength === 0) return;
  const address = yield* hostAddress(qmp, FOUR_GIBIBYTES - rom.byteLength);
  const memory = openMemory(`/proc/${pid}/mem`, "r+");
  try {
    writeSync(memory, rom, 0, rom.byteLength, address);
  } finally {
    closeSync(memory);
  }
}

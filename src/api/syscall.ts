/** Raw system calls: the integer form, the table form, and the classic forms with buffers. */

import { ApiError } from "../errors/errors.ts";
import { checkedSyscall } from "../guest/syscalls.ts";
import type { Integer, SyscallRequest, SyscallResult } from "../lab/ports.ts";
import { described, type Flavour } from "../lab/quantities.ts";
import type { Args } from "../lua/args.ts";
import type { LuaTable } from "../lua/table.ts";
import { results } from "../lua/values.ts";
import { byteStrings, integers, integerValue, unwrapped } from "./arguments.ts";
import {
  type Address,
  buffersSize,
  type CallForm,
  checkAddresses,
  type KernelCall,
  labResult,
  zeros,
} from "./kernel-call.ts";

const SLOTS = 6;

const checkCount = (args: readonly Integer[], call: string): readonly Integer[] => {
  if (args.length > SLOTS)
    throw new ApiError(`${call}: a system call takes at most ${SLOTS} arguments, got ${args.length}`);
  return args;
};

const slotNumber = (value: unknown, what: string): number => {
  if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value < SLOTS) return value;
  throw new ApiError(`${what} must be an argument slot from 0 to ${SLOTS - 1}, got ${described(value)}`);
};

const DIGITS = /^\s*[-+]?(0[xX][0-9a-fA-F]+|\d+)\s*$/;

/** The call itself: a number, or a name, which gets its number where the guest's architecture is known. */
const callNumber = (args: Args): Integer | string => {
  if (args.type(1) !== "string") return args.integer(1, "nr");
  const text = args.text(1);
  return DIGITS.test(text) ? args.integer(1, "nr") : checkedSyscall(text);
};

const TABLE_KEYS = ["args", "bufs", "ptrs", "nested"] as const;

/** `nested` as the wire has it: buffers counted from 0. */
const nestedTriples = (
  table: LuaTable,
  bufs: readonly Uint8Array[],
): (readonly [number, number, number])[] => {
  const index = (entry: LuaTable, key: string): number => {
    const at = entry.count(key);
    if (at < 1 || at > bufs.length)
      throw new ApiError(`${entry.label}.${key} must be a buffer from 1 to ${bufs.length}, got number ${at}`);
    return at - 1;
  };
  const addresses: (Address & { readonly child: number })[] = Array.from(
    { length: table.listLength() },
    (_, i) => {
      const entry = table.table(i + 1);
      entry.only(["parent", "child", "offset"]);
      return {
        label: `${entry.label}.offset`,
        parent: index(entry, "parent"),
        child: index(entry, "child"),
        offset: entry.count("offset"),
      };
    },
  );
  checkAddresses(addresses, bufs, (parent) => `buffer ${parent + 1}`);
  return addresses.map(({ parent, child, offset }) => [parent, child, offset] as const);
};

/** `{args, bufs, ptrs, nested}`. */
const tableForm = (nr: Integer | string, table: LuaTable, call: string): SyscallRequest => {
  table.only(TABLE_KEYS);
  const list = table.optTable("args");
  const args =
    list === undefined
      ? []
      : Array.from({ length: list.listLength() }, (_, i) =>
          integerValue(list.get(i + 1), `${call}: args[${i + 1}]`),
        );
  const bufTable = table.optTable("bufs");
  const bufs = bufTable === undefined ? [] : byteStrings(bufTable);
  const ptrs = table.optTable("ptrs");
  const nested = table.optTable("nested");
  if (ptrs !== undefined && ptrs.length > bufs.length)
    throw new ApiError(`${call}: ptrs has ${ptrs.length} entries for ${bufs.length} bufs`);
  const slots = bufs.map((_, i) => {
    const slot = unwrapped(ptrs?.get(i + 1));
    return slot === undefined ? -1 : slotNumber(slot, `${call}: ptrs[${i + 1}]`);
  });
  slots.forEach((slot, i) => {
    const first = slots.indexOf(slot);
    if (slot >= 0 && first < i)
      throw new ApiError(`${call}: ptrs[${first + 1}] and ptrs[${i + 1}] both take argument slot ${slot}`);
  });
  return {
    nr,
    args: checkCount(args, call),
    bufs,
    ptrs: slots,
    nested: nested === undefined ? [] : nestedTriples(nested, bufs),
  };
};

/** The request of `(nr, ints…)` or `(nr, table)`; the table form is answered with a table on both flavours. */
export const syscallRequest = (
  args: Args,
  call: string,
): { readonly request: SyscallRequest; readonly answersTable: boolean } => {
  const nr = callNumber(args);
  if (args.type(2) === "table") {
    if (args.length > 2)
      throw new ApiError(`${call}: nothing may follow the table of a request, got ${args.described(3)}`, {
        hint: "Its integers go into args = {…}.",
      });
    return { request: tableForm(nr, args.table(2, `${call}: request`), call), answersTable: true };
  }
  const values = checkCount(integers(args, 2), call);
  return { request: { nr, args: values, bufs: [], ptrs: [], nested: [] }, answersTable: false };
};

export const syscallAnswer = (flavour: Flavour, table: boolean, { ret, out }: SyscallResult): unknown =>
  !table && flavour === "classic" ? ret : { ...labResult(ret), out_bufs: out };

/** `{[slot] = data}` in the order of the slots. */
const slotBuffers = (table: LuaTable, call: string): { slots: number[]; bufs: Uint8Array[] } => {
  const slots = table
    .entries()
    .map(([key]) => slotNumber(unwrapped(key), `${call}: a key of bufs`))
    .toSorted((a, b) => a - b);
  return { slots, bufs: slots.map((slot) => table.bytes(slot)) };
};

/** Integer arguments from `first` on, with a placeholder for every slot that a buffer takes. */
const padded = (args: Args, first: number, slots: readonly number[], call: string): readonly Integer[] => {
  const values = integers(args, first);
  const needed = Math.max(0, ...slots.map((slot) => slot + 1));
  while (values.length < needed) values.push(0);
  return checkCount(values, call);
};

const POINTER_KEYS = ["buf_idx", "ptr_offset", "data_len", "output", "data"] as const;

/** The classic pointer specs: further buffers whose addresses go into the buffer of slot `buf_idx`. */
const pointerBuffers = (specs: LuaTable, slots: readonly number[], bufs: readonly Uint8Array[]) => {
  const pointers = Array.from({ length: specs.listLength() }, (_, i) => {
    const spec = specs.table(i + 1);
    spec.only(POINTER_KEYS);
    const slot = spec.count("buf_idx");
    const parent = slots.indexOf(slot);
    if (parent < 0)
      throw new ApiError(
        `${spec.label}.buf_idx: slot ${slot} has no buffer (slots with one: ${slots.join(", ")})`,
      );
    return {
      label: `${spec.label}.ptr_offset`,
      parent,
      offset: spec.count("ptr_offset"),
      data: zeros(spec.optBytes("data"), spec.optCount("data_len")),
    };
  });
  checkAddresses(pointers, bufs, (parent) => `the buffer of slot ${slots[parent]}`);
  return pointers;
};

const kernelCall = (
  call: string,
  request: SyscallRequest,
  answer: (result: SyscallResult) => unknown,
): KernelCall => ({
  bytes: buffersSize(call, request.bufs),
  *op(actor) {
    return answer(yield* actor.syscall(request));
  },
});

export const SYSCALL_FORMS: Readonly<Record<string, CallForm>> = {
  syscall: {
    signature: "(call: string|integer, ...: integer): integer | {ret, result, errno, out_bufs}",
    doc: "A raw system call with up to six integers: by its name, which gets the number of the guest's architecture, or by a number. A classic handle returns the kernel's value (-errno for a failure), a lab handle a table with `ret` (-1 for a failure) and `errno`. With a table `{args, bufs, ptrs, nested}` as second argument buffers go along: `ptrs[i]` is the slot, counted from 0, that receives the address of `bufs[i]`; `nested` entries `{parent, child, offset}` write the address of one buffer into another. The answer is then the table on both flavours, with the buffers after the call in `out_bufs`. The buffers of one call hold up to 16 MiB together.",
    read: (args, flavour) => {
      const { request, answersTable } = syscallRequest(args, "syscall");
      return kernelCall("syscall", request, (result) => syscallAnswer(flavour, answersTable, result));
    },
  },
  syscall_buf: {
    signature: "(call: string|integer, slot: integer, data: string, ...: integer): integer",
    doc: "A system call whose argument `slot` (from 0) is the address of a copy of `data`; the integers that follow hold a placeholder for it. What the kernel writes into the copy is not returned: see syscall_bufs.",
    read: (args) => {
      const nr = callNumber(args);
      const slot = slotNumber(args.integer(2, "slot"), "syscall_buf: slot");
      const data = args.bytes(3, "data");
      const values = padded(args, 4, [slot], "syscall_buf");
      const request = { nr, args: values, bufs: [data], ptrs: [slot], nested: [] };
      return kernelCall("syscall_buf", request, ({ ret }) => ret);
    },
  },
  syscall_bufs: {
    signature: "(call: string|integer, bufs: {[integer]: string}, ...: integer): integer, string...",
    doc: "A system call with several buffers by slot. Returns the kernel's value and each buffer after the call, in the order of the slots.",
    several: true,
    read: (args) => {
      const nr = callNumber(args);
      const { slots, bufs } = slotBuffers(args.table(2, "syscall_bufs: bufs"), "syscall_bufs");
      const values = padded(args, 3, slots, "syscall_bufs");
      const request = { nr, args: values, bufs, ptrs: slots, nested: [] };
      return kernelCall("syscall_bufs", request, ({ ret, out }) => results(ret, ...out));
    },
  },
  syscall_ptr: {
    signature:
      "(call: string|integer, bufs: {[integer]: string}, ptrs: {buf_idx, ptr_offset, data_len?, output?, data?}[], ...: integer): integer, string...",
    doc: "As syscall_bufs, with further buffers whose addresses are written into the buffer of slot `buf_idx` at byte `ptr_offset`. Returns the value, the buffers of the slots, then those behind the pointers.",
    several: true,
    read: (args) => {
      const nr = callNumber(args);
      const { slots, bufs } = slotBuffers(args.table(2, "syscall_ptr: bufs"), "syscall_ptr");
      const pointers = pointerBuffers(args.table(3, "syscall_ptr: ptrs"), slots, bufs);
      const request: SyscallRequest = {
        nr,
        args: padded(args, 4, slots, "syscall_ptr"),
        bufs: [...bufs, ...pointers.map(({ data }) => data)],
        ptrs: [...slots, ...pointers.map(() => -1)],
        nested: pointers.map(({ parent, offset }, i) => [parent, bufs.length + i, offset] as const),
      };
      return kernelCall("syscall_ptr", request, ({ ret, out }) => results(ret, ...out));
    },
  },
};

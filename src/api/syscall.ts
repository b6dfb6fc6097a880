/** Raw system calls and ioctls: the integer forms, the table form, and the classic forms with buffers. */

import { ApiError } from "../errors/errors.ts";
import { checkedSyscall } from "../guest/syscalls.ts";
import type { Integer, IoctlRequest, SyscallRequest, SyscallResult } from "../lab/ports.ts";
import { described, type Flavour } from "../lab/quantities.ts";
import type { Args } from "../lua/args.ts";
import type { LuaTable } from "../lua/table.ts";
import { results } from "../lua/values.ts";
import { byteStrings, integers, integerValue, unwrapped } from "./arguments.ts";
import { type GuestMethods, guestMethod } from "./handles.ts";

const SLOTS = 6;
/** Largest -errno that the kernel returns. */
const LARGEST_ERRNO = 4095;

/** `{ret, result, errno}` like libc's: -1 and the errno for a failure. */
export const labResult = (ret: Integer): { ret: Integer; result: Integer; errno: number } => {
  const failed = ret < 0 && ret >= -LARGEST_ERRNO;
  return failed ? { ret: -1, result: -1, errno: -Number(ret) } : { ret, result: ret, errno: 0 };
};

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
export const callNumber = (args: Args): Integer | string => {
  if (args.type(1) !== "string") return args.integer(1, "nr");
  const text = args.text(1);
  return DIGITS.test(text) ? args.integer(1, "nr") : checkedSyscall(text);
};

const TABLE_KEYS = ["args", "bufs", "ptrs", "nested"] as const;

/** Bytes of an address. */
const POINTER_BYTES = 8;

const nestedTriples = (
  table: LuaTable,
  bufs: readonly Uint8Array[],
): (readonly [number, number, number])[] => {
  const count = bufs.length;
  const index = (entry: LuaTable, key: string): number => {
    const at = entry.count(key);
    if (at < 1 || at > count)
      throw new ApiError(`${entry.label}.${key} must be a buffer from 1 to ${count}, got number ${at}`);
    return at - 1;
  };
  return Array.from({ length: table.length }, (_, i) => {
    const entry = table.table(i + 1);
    entry.only(["parent", "child", "offset"]);
    const [parent, child, offset] = [index(entry, "parent"), index(entry, "child"), entry.count("offset")];
    const size = bufs[parent]?.byteLength ?? 0;
    if (offset + POINTER_BYTES > size)
      throw new ApiError(
        `${entry.label}.offset: an address of ${POINTER_BYTES} bytes at ${offset} does not fit buffer ${parent + 1} of ${size} bytes`,
      );
    return [parent, child, offset] as const;
  });
};

/** `{args, bufs, ptrs, nested}`. */
const tableForm = (nr: Integer | string, table: LuaTable, call: string): SyscallRequest => {
  table.only(TABLE_KEYS);
  const list = table.optTable("args");
  const args =
    list === undefined
      ? []
      : Array.from({ length: list.length }, (_, i) =>
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
  if (args.type(2) === "table")
    return { request: tableForm(nr, args.table(2, `${call}: request`), call), answersTable: true };
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

/** Buffers of one call travel in one frame of the wire. */
const LARGEST_BUFFER = 15 * 2 ** 20;

/** `data`, with zeros up to `length` bytes. */
const zeros = (data: Uint8Array | undefined, length: number | undefined): Uint8Array => {
  const size = Math.max(data?.byteLength ?? 0, length ?? 0);
  if (size > LARGEST_BUFFER)
    throw new ApiError(`a buffer holds at most ${LARGEST_BUFFER} bytes, got ${size}`);
  const out = new Uint8Array(size);
  if (data !== undefined) out.set(data);
  return out;
};

/** The classic pointer specs: further buffers whose addresses go into the buffer of slot `buf_idx`. */
const pointerBuffers = (specs: LuaTable, slots: readonly number[]) =>
  Array.from({ length: specs.length }, (_, i) => {
    const spec = specs.table(i + 1);
    spec.only(POINTER_KEYS);
    const slot = spec.count("buf_idx");
    const parent = slots.indexOf(slot);
    if (parent < 0)
      throw new ApiError(
        `${spec.label}.buf_idx: slot ${slot} has no buffer (slots with one: ${slots.join(", ")})`,
      );
    return {
      parent,
      offset: spec.count("ptr_offset"),
      data: zeros(spec.optBytes("data"), spec.optCount("data_len")),
    };
  });

const IOCTL_SPEC_KEYS = ["ptr_offset", "buf_len", "output", "data"] as const;

/** The third argument of an ioctl: bytes are passed by address, an integer as it is. */
const ioctlArgument = (args: Args): Pick<IoctlRequest, "arg" | "data"> => {
  if (args.absent(3)) return { arg: 0 };
  return args.type(3) === "string"
    ? { arg: 0, data: args.bytes(3, "data") }
    : { arg: args.integer(3, "data") };
};

const ioctlOptions = (opts: LuaTable | undefined): Pick<IoctlRequest, "bufs" | "offsets"> => {
  opts?.only(["bufs", "ptr_offsets"]);
  const bufs = opts?.optTable("bufs");
  const offsets = opts?.optTable("ptr_offsets");
  const own = bufs === undefined ? [] : byteStrings(bufs);
  const places =
    offsets === undefined ? [] : Array.from({ length: offsets.length }, (_, i) => offsets.count(i + 1));
  if (own.length !== places.length)
    throw new ApiError(
      `ioctl: opts has ${own.length} bufs and ${places.length} ptr_offsets; each buffer needs its offset in data`,
    );
  return { bufs: own, offsets: places };
};

export const SYSCALL_METHODS: GuestMethods = {
  syscall: guestMethod(
    "(call: string|integer, ...: integer): integer | {ret, result, errno, out_bufs}",
    "A raw system call with up to six integers: by its name, which gets the number of the guest's architecture, or by a number. A classic handle returns the kernel's value (-errno for a failure), a lab handle a table with `ret` (-1 for a failure) and `errno`. With a table `{args, bufs, ptrs, nested}` as second argument buffers go along: `ptrs[i]` is the slot, counted from 0, that receives the address of `bufs[i]`; `nested` entries `{parent, child, offset}` write the address of one buffer into another. The answer is then the table on both flavours, with the buffers after the call in `out_bufs`.",
    function* (self, args) {
      const { request, answersTable } = syscallRequest(args, "syscall");
      const result = yield* self.call("syscall", (actor) => actor.syscall(request));
      return syscallAnswer(self.flavour, answersTable, result);
    },
  ),
  syscall_buf: guestMethod(
    "(call: string|integer, slot: integer, data: string, ...: integer): integer",
    "A system call whose argument `slot` (from 0) is the address of a copy of `data`; the integers that follow hold a placeholder for it. What the kernel writes into the copy is not returned: see syscall_bufs.",
    function* (self, args) {
      const nr = callNumber(args);
      const slot = slotNumber(args.integer(2, "slot"), "syscall_buf: slot");
      const data = args.bytes(3, "data");
      const values = padded(args, 4, [slot], "syscall_buf");
      const request = { nr, args: values, bufs: [data], ptrs: [slot], nested: [] };
      return (yield* self.call("syscall_buf", (actor) => actor.syscall(request))).ret;
    },
  ),
  syscall_bufs: guestMethod(
    "(call: string|integer, bufs: {[integer]: string}, ...: integer): integer, string...",
    "A system call with several buffers by slot. Returns the kernel's value and each buffer after the call, in the order of the slots.",
    function* (self, args) {
      const nr = callNumber(args);
      const { slots, bufs } = slotBuffers(args.table(2, "syscall_bufs: bufs"), "syscall_bufs");
      const values = padded(args, 3, slots, "syscall_bufs");
      const request = { nr, args: values, bufs, ptrs: slots, nested: [] };
      const { ret, out } = yield* self.call("syscall_bufs", (actor) => actor.syscall(request));
      return results(ret, ...out);
    },
  ),
  syscall_ptr: guestMethod(
    "(call: string|integer, bufs: {[integer]: string}, ptrs: {buf_idx, ptr_offset, data_len?, output?, data?}[], ...: integer): integer, string...",
    "As syscall_bufs, with further buffers whose addresses are written into the buffer of slot `buf_idx` at byte `ptr_offset`. Returns the value, the buffers of the slots, then those behind the pointers.",
    function* (self, args) {
      const nr = callNumber(args);
      const { slots, bufs } = slotBuffers(args.table(2, "syscall_ptr: bufs"), "syscall_ptr");
      const pointers = pointerBuffers(args.table(3, "syscall_ptr: ptrs"), slots);
      const request: SyscallRequest = {
        nr,
        args: padded(args, 4, slots, "syscall_ptr"),
        bufs: [...bufs, ...pointers.map(({ data }) => data)],
        ptrs: [...slots, ...pointers.map(() => -1)],
        nested: pointers.map(({ parent, offset }, i) => [parent, bufs.length + i, offset] as const),
      };
      const { ret, out } = yield* self.call("syscall_ptr", (actor) => actor.syscall(request));
      return results(ret, ...out);
    },
  ),
  ioctl: guestMethod(
    "(fd: integer, cmd: integer, data?: string|integer, opts?: {bufs, ptr_offsets}): integer, string|nil | table",
    "An ioctl. `data` as a string is passed by address, as an integer by value. A classic handle returns the value and the bytes after the call; a lab handle, or any call with `opts`, a table `{ret, result, errno, out_data, out_bufs}`. The addresses of `opts.bufs` are written into `data` at `opts.ptr_offsets`.",
    function* (self, args) {
      const opts = args.optTable(4, "ioctl: opts");
      const request: IoctlRequest = {
        fd: args.integer(1, "fd"),
        request: args.integer(2, "cmd"),
        ...ioctlArgument(args),
        ...ioctlOptions(opts),
      };
      const { ret, data, out } = yield* self.call("ioctl", (actor) => actor.ioctl(request));
      if (opts === undefined && self.flavour === "classic") return results(ret, data);
      return { ...labResult(ret), out_data: data, out_bufs: out };
    },
  ),
  ioctl_buf: guestMethod(
    "(fd: integer, cmd: integer, struct: string, specs: {ptr_offset, buf_len?, output?, data?}[]): integer, string, string...",
    "An ioctl on a struct that holds pointers: the address of each spec's buffer goes into the struct at `ptr_offset`. Returns the value, the struct after the call, and the buffers of the specs with `output`.",
    function* (self, args) {
      const specs = args.table(4, "ioctl_buf: specs");
      const parsed = Array.from({ length: specs.length }, (_, i) => {
        const spec = specs.table(i + 1);
        spec.only(IOCTL_SPEC_KEYS);
        return {
          offset: spec.count("ptr_offset"),
          data: zeros(spec.optBytes("data"), spec.optCount("buf_len")),
          output: spec.optBoolean("output") ?? false,
        };
      });
      const request: IoctlRequest = {
        fd: args.integer(1, "fd"),
        request: args.integer(2, "cmd"),
        arg: 0,
        data: args.bytes(3, "struct"),
        bufs: parsed.map(({ data }) => data),
        offsets: parsed.map(({ offset }) => offset),
      };
      const { ret, data, out } = yield* self.call("ioctl_buf", (actor) => actor.ioctl(request));
      return results(ret, data, ...out.filter((_, i) => parsed[i]?.output));
    },
  ),
};

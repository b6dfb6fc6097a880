/** ioctls: with a value or a struct, and with structs that hold pointers. */

import { ApiError } from "../errors/errors.ts";
import type { IoctlRequest } from "../lab/ports.ts";
import type { Args } from "../lua/args.ts";
import type { LuaTable } from "../lua/table.ts";
import { results } from "../lua/values.ts";
import { byteStrings } from "./arguments.ts";
import {
  buffersSize,
  type CallForm,
  checkAddresses,
  type KernelCall,
  labResult,
  zeros,
} from "./kernel-call.ts";

/** The third argument: bytes are passed by address, an integer as it is. */
const argument = (args: Args): Pick<IoctlRequest, "arg" | "data"> => {
  if (args.absent(3)) return { arg: 0 };
  return args.type(3) === "string"
    ? { arg: 0, data: args.bytes(3, "data") }
    : { arg: args.integer(3, "data") };
};

const options = (opts: LuaTable | undefined): Pick<IoctlRequest, "bufs" | "offsets"> => {
  opts?.only(["bufs", "ptr_offsets"]);
  const bufs = opts?.optTable("bufs");
  const offsets = opts?.optTable("ptr_offsets");
  const own = bufs === undefined ? [] : byteStrings(bufs);
  const places =
    offsets === undefined ? [] : Array.from({ length: offsets.listLength() }, (_, i) => offsets.count(i + 1));
  if (own.length !== places.length)
    throw new ApiError(
      `ioctl: opts has ${own.length} bufs and ${places.length} ptr_offsets; each buffer needs its offset in data`,
    );
  return { bufs: own, offsets: places };
};

const checkOffsets = (request: IoctlRequest, label: (index: number) => string): void => {
  const addresses = request.offsets.map((offset, i) => ({ label: label(i + 1), parent: 0, offset }));
  checkAddresses(addresses, [request.data], () => "data");
};

type Answer = {
  readonly ret: number | bigint;
  readonly data: Uint8Array | undefined;
  readonly out: readonly Uint8Array[];
};

const kernelCall = (
  call: string,
  request: IoctlRequest,
  answer: (result: Answer) => unknown,
): KernelCall => ({
  bytes: buffersSize(call, [request.data, ...request.bufs]),
  *op(actor) {
    return answer(yield* actor.ioctl(request));
  },
});

const SPEC_KEYS = ["ptr_offset", "buf_len", "output", "data"] as const;

export const IOCTL_FORMS: Readonly<Record<string, CallForm>> = {
  ioctl: {
    signature:
      "(fd: integer, cmd: integer, data?: string|integer, opts?: {bufs, ptr_offsets}): integer, string|nil | table",
    doc: "An ioctl. `data` as a string is passed by address, as an integer by value. A classic handle returns the value and the bytes after the call; a lab handle, or any call with `opts`, a table `{ret, result, errno, out_data, out_bufs}`. The addresses of `opts.bufs` are written into `data` at `opts.ptr_offsets`.",
    several: true,
    read: (args, flavour) => {
      const opts = args.optTable(4, "ioctl: opts");
      const request: IoctlRequest = {
        fd: args.integer(1, "fd"),
        request: args.integer(2, "cmd"),
        ...argument(args),
        ...options(opts),
      };
      checkOffsets(request, (i) => `ioctl: opts.ptr_offsets[${i}]`);
      const integers = opts === undefined && flavour === "classic";
      return kernelCall("ioctl", request, ({ ret, data, out }) =>
        integers ? results(ret, data) : { ...labResult(ret), out_data: data, out_bufs: out },
      );
    },
  },
  ioctl_buf: {
    signature:
      "(fd: integer, cmd: integer, struct: string, specs: {ptr_offset, buf_len?, output?, data?}[]): integer, string, string...",
    doc: "An ioctl on a struct that holds pointers: the address of each spec's buffer goes into the struct at `ptr_offset`. Returns the value, the struct after the call, and the buffers of the specs with `output`.",
    several: true,
    read: (args) => {
      const specs = args.table(4, "ioctl_buf: specs");
      const parsed = Array.from({ length: specs.listLength() }, (_, i) => {
        const spec = specs.table(i + 1);
        spec.only(SPEC_KEYS);
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
      checkOffsets(request, (i) => `ioctl_buf: specs[${i}].ptr_offset`);
      return kernelCall("ioctl_buf", request, ({ ret, data, out }) =>
        results(ret, data, ...out.filter((_, i) => parsed[i]?.output)),
      );
    },
  },
};

/** `pack` and `unpack`, called with a dot or with a colon, in the classic grammar or in Lua's. */

import { ApiError } from "../errors/errors.ts";
import type { Args } from "../lua/args.ts";
import { describe } from "../lua/describe.ts";
import { LuaError } from "../lua/errors.ts";
import type { LuaFunction } from "../lua/function.ts";
import { fn, type NativeFunction } from "../lua/native.ts";
import { type LuaValue, results } from "../lua/values.ts";
import { isClassicFormat, packClassic, unpackClassic } from "./pack.ts";

/** From the format on: the receiver of a colon call is a lab. */
const fromFormat = (args: Args): Args => args.behind(args.type(1) === "userdata");

/** Lua's own functions, which read every format that is not classic. */
export interface StandardPack {
  readonly pack: Pick<LuaFunction, "call">;
  readonly unpack: Pick<LuaFunction, "call">;
}

/** One of them, whose refusals are told as errors of ours: its own would have no position. */
export const standardCall = (name: string, standard: LuaFunction): Pick<LuaFunction, "call"> => ({
  call(format, ...values) {
    try {
      return standard.call(format, ...values);
    } catch (error) {
      if (!(error instanceof LuaError)) throw error;
      const why = error.message.replace(/^bad argument (#\d+) to '[^']*' \((.*)\)$/, "argument $1: $2");
      throw new ApiError(`${name}: format ${describe(format as LuaValue)}: ${why}`);
    }
  },
});

export const packFunctions = (standard: StandardPack): Readonly<Record<string, NativeFunction>> => ({
  pack: fn(
    "pack",
    "(format: string, ...: any): string",
    'A binary string. `"u8 u16 i16 u32 i32 u64 i64"` is the classic grammar, little endian; any other format is Lua\'s `string.pack`.',
    (given) => {
      const args = fromFormat(given);
      const format = args.text(1, "format");
      if (!isClassicFormat(format, args === given)) return results(...standard.pack.call(...args.rest(1)));
      const values = args.rest(2).map((_, i) => args.integer(2 + i));
      return packClassic(format, values);
    },
  ),
  unpack: fn(
    "unpack",
    "(format: string, data: string, pos?: integer): any...",
    "The values in a binary string: one for each word of a classic format; with a Lua format the values and the next position.",
    (given) => {
      const args = fromFormat(given);
      const format = args.text(1, "format");
      if (!isClassicFormat(format, args === given)) return results(...standard.unpack.call(...args.rest(1)));
      return results(...unpackClassic(format, args.bytes(2, "data")));
    },
  ),
});

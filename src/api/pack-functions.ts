/** `pack` and `unpack`, called with a dot or with a colon, in the classic grammar or in Lua's. */

import type { Args } from "../lua/args.ts";
import type { LuaFunction } from "../lua/function.ts";
import { fn, type NativeFunction } from "../lua/native.ts";
import { results } from "../lua/values.ts";
import { isClassicFormat, packClassic, unpackClassic } from "./pack.ts";

/** Arguments before the format: one for a colon call, whose receiver is a lab. */
const receivers = (args: Args): 0 | 1 => (args.type(1) === "userdata" ? 1 : 0);

/** Lua's own functions, which read every format that is not classic. */
export interface StandardPack {
  readonly pack: LuaFunction;
  readonly unpack: LuaFunction;
}

export const packFunctions = (standard: StandardPack): Readonly<Record<string, NativeFunction>> => ({
  pack: fn(
    "pack",
    "(format: string, ...: any): string",
    'A binary string. `"u8 u16 i16 u32 i32 u64 i64"` is the classic grammar, little endian; any other format is Lua\'s `string.pack`.',
    (args) => {
      const at = receivers(args);
      const format = args.text(at + 1, "format");
      if (!isClassicFormat(format, at === 0)) return results(...standard.pack.call(...args.rest(at + 1)));
      const values = args.rest(at + 2).map((_, i) => args.integer(at + 2 + i));
      return packClassic(format, values);
    },
  ),
  unpack: fn(
    "unpack",
    "(format: string, data: string, pos?: integer): any...",
    "The values in a binary string: one for each word of a classic format; with a Lua format the values and the next position.",
    (args) => {
      const at = receivers(args);
      const format = args.text(at + 1, "format");
      if (!isClassicFormat(format, at === 0)) return results(...standard.unpack.call(...args.rest(at + 1)));
      return results(...unpackClassic(format, args.bytes(at + 2, "data")));
    },
  ),
});

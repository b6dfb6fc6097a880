/** Bodies of frames as a guest may send them: refused, or with one meaning. */

import golden from "../../golden/frames.json" with { type: "json" };
import { takeFrame } from "../frames.ts";
import type { Target } from "../target.ts";

const PREFIX_BYTES = 4;

export const wire: Target = {
  name: "wire",
  source: import.meta.file,
  seeds: golden.map(({ hex }) => Buffer.from(hex, "hex").subarray(PREFIX_BYTES)),
  words: [0x90, 0x9f, 0xc0, 0xc1, 0xc4, 0xc6, 0xcb, 0xcf, 0xd3, 0xdb, 0xdc, 0xdd, 0xdf].map((first) =>
    Uint8Array.of(first, 0xff, 0xff, 0xff, 0xff),
  ),
  run: takeFrame,
};

/** Recordings of any kind, cut anywhere: events, or a `ProtocolError`. */

import { ProtocolError } from "../../../src/errors/errors.ts";
import { encodeFrame, FrameReader } from "../../../src/events/frame.ts";
import { eventOf } from "../../../src/events/recording.ts";
import { joined } from "../../unit/packet/frames.ts";
import type { Target } from "../target.ts";

const FRAMES = [
  { ts: 1n, kind: "stream_started", payload: { protocol_version: 1, host_version: "0" } },
  {
    ts: 2n ** 62n,
    kind: "test_passed",
    payload: { path: "a", name: "b", duration_ns: 2 ** 40, meta: { x: [1, null] }, log: [] },
  },
].map((event) => encodeFrame(event));

export const recording: Target = {
  name: "recording",
  source: import.meta.file,
  seeds: [joined(...FRAMES)],
  words: [
    ...["kind", "payload", "ts", "__proto__"],
    ...[
      [0xc1],
      [0xdd, 0xff, 0xff, 0xff, 0xff],
      [0xdf, 0x7f, 0xff, 0xff, 0xff],
      [0xc6, 0xff, 0xff, 0xff, 0xff],
    ].map((it) => Uint8Array.from(it)),
    ...[[0xc7, 0xff, 0x72], [0xd4, 0x72, 0x40], [0xd6, 0xff], [0xcf]].map((it) => Uint8Array.from(it)),
  ],
  run: (input) => {
    const reader = new FrameReader(1024 * 1024);
    try {
      const cut = (input[0] ?? 0) + 1;
      for (let at = 0; at < input.byteLength; at += cut) reader.push(input.subarray(at, at + cut), eventOf);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
    }
  },
};

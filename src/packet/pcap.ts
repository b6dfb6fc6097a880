/**
 * Classic capture files (pcap-savefile(5)): a header of 24 bytes, then each packet behind a header of 16, in either
 * byte order, with microseconds or nanoseconds.
 */

import { ApiError } from "../errors/errors.ts";

/** One packet as it stands in the file. */
export interface Captured {
  /** Since the epoch. */
  readonly timeNs: bigint;
  /** On the wire; more than `data` has where the capture was cut short. */
  readonly length: number;
  readonly data: Uint8Array;
}

export interface Capture {
  readonly packets: readonly Captured[];
  /** The beginning of a packet whose end is still to come. */
  readonly rest: Uint8Array;
}

const FILE_HEADER_BYTES = 24;
const PACKET_HEADER_BYTES = 16;
const ETHERNET = 1;
/** More than any capture has of one packet (libpcap's own limit). */
const MOST_BYTES = 262_144;

/** Byte order and nanoseconds in a unit of the second time field, by the first four bytes. */
const MAGIC: Readonly<Record<string, readonly [little: boolean, unit: bigint]>> = {
  a1b2c3d4: [false, 1000n],
  d4c3b2a1: [true, 1000n],
  a1b23c4d: [false, 1n],
  "4d3cb2a1": [true, 1n],
};

const hex = (bytes: Uint8Array): string =>
  [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");

/** The packets of a capture, of which the end may still be missing. ApiError for what is no capture of Ethernet. */
export const readPcap = (bytes: Uint8Array): Capture => {
  if (bytes.byteLength < FILE_HEADER_BYTES)
    throw new ApiError(
      `pcap: a capture begins with ${FILE_HEADER_BYTES} bytes, here are ${bytes.byteLength}`,
      {
        hint: "give it the stream from its first byte on",
      },
    );
  const magic = MAGIC[hex(bytes.subarray(0, 4))];
  if (magic === undefined)
    throw new ApiError(`pcap: no classic capture begins with ${hex(bytes.subarray(0, 4))}`, {
      hint: "pcapng is another format; `editcap -F pcap` converts it",
    });
  const [little, unit] = magic;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const link = view.getUint32(20, little) & 0x0fff_ffff;
  if (link !== ETHERNET) throw new ApiError(`pcap: link type ${link} is not Ethernet (${ETHERNET})`);
  const packets: Captured[] = [];
  let at = FILE_HEADER_BYTES;
  while (bytes.byteLength - at >= PACKET_HEADER_BYTES) {
    const captured = view.getUint32(at + 8, little);
    if (captured > MOST_BYTES)
      throw new ApiError(`pcap: packet ${packets.length + 1} claims ${captured} bytes`, {
        hint: "bytes are missing or mixed up in front of it",
      });
    const from = at + PACKET_HEADER_BYTES;
    if (bytes.byteLength - from < captured) break;
    const seconds = BigInt(view.getUint32(at, little));
    const fraction = BigInt(view.getUint32(at + 4, little));
    packets.push({
      timeNs: seconds * 1_000_000_000n + fraction * unit,
      length: view.getUint32(at + 12, little),
      data: bytes.subarray(from, from + captured),
    });
    at = from + captured;
  }
  return { packets, rest: bytes.subarray(at) };
};

/** `provium.pcap(bytes)`: a capture as Lua tables, so that a test can look at packets without other tools. */

import type { Args } from "../lua/args.ts";
import { fn, type NativeFunction } from "../lua/native.ts";
import { luaFloat, results } from "../lua/values.ts";
import { dissect } from "../packet/dissect.ts";
import { type Captured, readPcap } from "../packet/pcap.ts";

const NS = 1_000_000_000n;

/** As near as a float comes: taken as a whole the nanoseconds would have lost their last digits already. */
const seconds = (ns: bigint): number => Number(ns / NS) + Number(ns % NS) / Number(NS);

const packet = ({ timeNs, length, data }: Captured): Record<string, unknown> => ({
  time: luaFloat(seconds(timeNs)),
  time_ns: timeNs,
  length,
  data,
  ...dissect(data),
});

const DOC = [
  "The packets of a classic capture, as `bridge:capture()` and `nic:capture()` stream it (chunks joined, from the first byte on), and as second result the bytes of a packet whose end is still to come.",
  "A packet has `time` (seconds), `time_ns`, `length` (on the wire), `data` (the frame), `payload` (what the innermost layer found carries), `malformed` (the layer that does not fit) and a table for each layer in it:",
  "`eth` {src, dst, type, vlans = {{id, priority, type}}},",
  "`arp` {op, sender_mac, sender_ip, target_mac, target_ip},",
  "`ip` {version, src, dst, protocol, ttl, length, tos, id, dont_fragment, more_fragments, fragment_offset, checksum_ok},",
  "`icmp` {type, code, id, seq, checksum_ok} (also ICMPv6),",
  "`udp` {src_port, dst_port, length, checksum_ok},",
  "`tcp` {src_port, dst_port, seq, ack, window, fin, syn, rst, psh, ack_set, urg, mss, checksum_ok},",
  "`dns` {id, response, rcode, recursion_desired, authoritative, truncated, questions = {{name, type}}, answers, authorities, additionals = {{name, type, ttl, data}}}.",
].join(" ");

/** Members of `provium`, called with a dot or with a colon. */
export const PCAP_FUNCTIONS: Readonly<Record<string, NativeFunction>> = {
  pcap: fn("pcap", "(bytes: string): table[], string", DOC, (args: Args) => {
    const bytes = args.behind(args.type(1) === "userdata").bytes(1, "bytes");
    const { packets, rest } = readPcap(bytes);
    return results(packets.map(packet), rest);
  }),
};

/** DNS messages (RFC 1035), decoded by dns-packet and reduced to plain values. */

import { type Answer, type DecodedPacket, decode } from "dns-packet";

export interface DnsQuestion {
  readonly name: string;
  /** "A", "AAAA", "PTR", … */
  readonly type: string;
}

export interface DnsRecord extends DnsQuestion {
  readonly ttl: number;
  /** An address, a name, or text; bytes of a type without text form. */
  readonly data: string | Uint8Array;
}

export interface Dns {
  readonly id: number;
  readonly response: boolean;
  /** "NOERROR", "NXDOMAIN", … */
  readonly rcode: string;
  readonly recursion_desired: boolean;
  readonly authoritative: boolean;
  readonly truncated: boolean;
  readonly questions: readonly DnsQuestion[];
  readonly answers: readonly DnsRecord[];
  readonly authorities: readonly DnsRecord[];
  readonly additionals: readonly DnsRecord[];
}

/** What dns-packet knows of a message beyond its published types. */
type Decoded = DecodedPacket & { readonly rcode?: string };

/** Values that are objects of their own (SOA, SRV, MX) as "key=value key=value". */
const text = (data: unknown): string | Uint8Array => {
  if (typeof data === "string" || data instanceof Uint8Array) return data;
  if (Array.isArray(data)) return data.map((part) => new TextDecoder().decode(part as Uint8Array)).join("");
  return Object.entries((data ?? {}) as Record<string, unknown>)
    .map(([key, value]) => `${key}=${String(value)}`)
    .join(" ");
};

const records = (answers: readonly Answer[] | undefined): DnsRecord[] =>
  (answers ?? []).map((answer) => {
    const { name, type, ttl, data } = answer as { name: string; type: string; ttl?: number; data?: unknown };
    return { name, type, ttl: ttl ?? 0, data: text(data) };
  });

/** The message, or undefined for bytes that are none. */
export const readDns = (bytes: Uint8Array): Dns | undefined => {
  let packet: Decoded;
  try {
    packet = decode(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  } catch {
    return undefined;
  }
  return {
    id: packet.id ?? 0,
    response: packet.type === "response",
    rcode: packet.rcode ?? "NOERROR",
    recursion_desired: packet.flag_rd,
    authoritative: packet.flag_aa,
    truncated: packet.flag_tc,
    questions: (packet.questions ?? []).map(({ name, type }) => ({ name, type })),
    answers: records(packet.answers),
    authorities: records(packet.authorities),
    additionals: records(packet.additionals),
  };
};

/** Answers to questions for names of a bridge's members: RFC 1035, through dns-packet. Pure. */

import { decode, encode, type Packet, type StringAnswer } from "dns-packet";
import type { LeaseBook } from "../lab/network-host.ts";

/** Labels of printable ASCII. dns-packet takes labels as UTF-8 and would say others again in other bytes, or too many. */
const PLAIN = /^(?:\.|[!-\-/-~]+(?:\.[!-\-/-~]+)*)$/;
const FORMAT_ERROR = 1;
const NXDOMAIN = 3;
const AUTHORITATIVE = 1 << 10;
const RECURSION_DESIRED = 1 << 8;

/** The answer to a question for names: the members', with and without the bridge's. Pure. */
export const dnsAnswer = (message: Uint8Array, book: LeaseBook): Uint8Array | undefined => {
  let query: Packet;
  try {
    query = decode(Buffer.from(message));
  } catch {
    return undefined;
  }
  const [question] = query.questions ?? [];
  if (query.type !== "query" || question === undefined) return undefined;
  if (!PLAIN.test(question.name)) return encode({ type: "response", id: query.id ?? 0, flags: FORMAT_ERROR });
  const asked = question.name.toLowerCase().replace(/\.$/, "");
  const lease = book
    .leases()
    .find(({ name }) => asked === name.toLowerCase() || asked === `${name}.${book.bridge}`.toLowerCase());
  const answers: StringAnswer[] =
    lease !== undefined && question.type === "A"
      ? [{ type: "A", name: question.name, ttl: 5, data: lease.address }]
      : [];
  const flags =
    AUTHORITATIVE | ((query.flags ?? 0) & RECURSION_DESIRED) | (lease === undefined ? NXDOMAIN : 0);
  return encode({ type: "response", id: query.id ?? 0, flags, questions: [question], answers });
};

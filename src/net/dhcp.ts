/**
 * Answers to DHCP clients: each member is offered the address that the model has for it, with routes, MTU and
 * names. RFC 2131, options RFC 2132 and 3442. A message is 236 bytes, a cookie, then options. Pure.
 */

import type { LeaseBook } from "../lab/network-host.ts";
import { addressOf, netmaskOf, SERVICE_HOST } from "../lab/subnet.ts";
import { addressBytes, hardwareText } from "./datagram.ts";

const COOKIE = Uint8Array.of(0x63, 0x82, 0x53, 0x63);
const OPTIONS_AT = 240;
/** RFC 1542, section 2.1: shorter messages may be thrown away. */
const LEAST_BYTES = 300;
const LEASE_SECONDS = 86_400;

enum Kind {
  Discover = 1,
  Offer = 2,
  Request = 3,
  Ack = 5,
  Nak = 6,
  Inform = 8,
}

const option = (options: Uint8Array, code: number): Uint8Array | undefined => {
  for (let at = 0; at < options.length; ) {
    const tag = options[at] as number;
    if (tag === 255) return undefined;
    if (tag === 0) {
      at++;
      continue;
    }
    const length = options[at + 1] ?? 0;
    if (tag === code) return options.subarray(at + 2, at + 2 + length);
    at += 2 + length;
  }
  return undefined;
};

/** Option 121: prefix length, as many bytes of the network as it has, gateway. */
const classlessRoutes = (routes: readonly string[]): number[] =>
  routes.flatMap((route) => {
    const [network = "", gateway = ""] = route.split(" ");
    const [address = "", length = "0"] = network.split("/");
    const significant = addressBytes(address).subarray(0, Math.ceil(Number(length) / 8));
    return [Number(length), ...significant, ...addressBytes(gateway)];
  });

const DEFAULT_ROUTE = "0.0.0.0/0 ";

/** The answer to one message of a client; undefined where there is none. Pure. */
export const dhcpAnswer = (message: Uint8Array, book: LeaseBook): Uint8Array | undefined => {
  if (message.length < OPTIONS_AT || message[0] !== 1 || message[2] !== 6) return undefined;
  if (COOKIE.some((byte, index) => message[236 + index] !== byte)) return undefined;
  const options = message.subarray(OPTIONS_AT);
  const kind = option(options, 53)?.[0];
  const lease = book.leases().find(({ mac }) => mac === hardwareText(message.subarray(28, 34)));
  if (lease === undefined) return undefined;
  const own = addressBytes(addressOf(book.subnet, SERVICE_HOST));
  const address = addressBytes(lease.address);
  const server = option(options, 54);
  if (server !== undefined && server.join() !== own.join()) return undefined;
  const asked = option(options, 50) ?? message.subarray(12, 16);
  const wrong = kind === Kind.Request && asked.join() !== address.join();
  const answers: Readonly<Record<number, Kind>> = {
    [Kind.Discover]: Kind.Offer,
    [Kind.Request]: wrong ? Kind.Nak : Kind.Ack,
    [Kind.Inform]: Kind.Ack,
  };
  const answer = answers[kind ?? 0];
  if (answer === undefined) return undefined;
  const said: number[] = [53, 1, answer, 54, 4, ...own];
  const add = (code: number, bytes: Iterable<number>): void => {
    const list = [...bytes];
    if (list.length > 0) said.push(code, list.length, ...list);
  };
  if (answer !== Kind.Nak) {
    const routes = book.routes();
    const out = routes.find((route) => route.startsWith(DEFAULT_ROUTE));
    const text = new TextEncoder();
    if (kind !== Kind.Inform)
      add(
        51,
        [LEASE_SECONDS >>> 24, LEASE_SECONDS >>> 16, LEASE_SECONDS >>> 8, LEASE_SECONDS].map(
          (byte) => byte & 255,
        ),
      );
    add(1, addressBytes(netmaskOf(book.subnet)));
    if (out !== undefined) add(3, addressBytes(out.slice(DEFAULT_ROUTE.length)));
    add(6, own);
    add(12, text.encode(lease.name));
    add(15, text.encode(book.bridge));
    add(26, [book.mtu >> 8, book.mtu & 255]);
    add(121, classlessRoutes(routes));
  }
  const reply = new Uint8Array(Math.max(LEAST_BYTES, OPTIONS_AT + said.length + 1));
  reply.set(message.subarray(0, OPTIONS_AT));
  reply[0] = 2;
  reply[3] = 0;
  if (answer !== Kind.Nak && kind !== Kind.Inform) reply.set(address, 16);
  reply.set(own, 20);
  // Server name and boot file are not ours to give.
  reply.fill(0, 44, 236);
  reply.set(said, OPTIONS_AT);
  reply[OPTIONS_AT + said.length] = 255;
  return reply;
};

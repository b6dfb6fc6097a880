/**
 * A port of a bridge that answers the guests' DHCP clients, their questions for members' names, and who looks for
 * it by ARP. Served by the runner itself, whenever the test waits.
 */

import type { LeaseBook, Service } from "../lab/network-host.ts";
import { addressOf, SERVICE_HOST } from "../lab/subnet.ts";
import { closeFd } from "../sys/libc.ts";
import type { Op } from "../sys/op.ts";
import type { Reactor } from "../sys/reactor.ts";
import type { BackendBridge } from "./backend.ts";
import { addressBytes, arpReply, type Datagram, hardwareText, parseDatagram, udpFrame } from "./datagram.ts";
import { dhcpAnswer } from "./dhcp.ts";
import { dnsAnswer } from "./dns.ts";
import { FramePort } from "./frames.ts";

const MAC = Uint8Array.of(0x52, 0x54, 0x02, 0, 0, 4);
const SERVER_PORT = 67;
const CLIENT_PORT = 68;
const DNS_PORT = 53;
const BROADCAST = addressBytes("255.255.255.255");
const EVERYBODY = new Uint8Array(6).fill(0xff);

export const openDhcp = function* (bridge: BackendBridge, book: LeaseBook, reactor: Reactor): Op<Service> {
  const own = addressBytes(addressOf(book.subnet, SERVICE_HOST));
  const port = yield* bridge.openPort("dhcp", hardwareText(MAC));
  const serve = (datagram: Datagram): Uint8Array | undefined => {
    const { source, sourceMac, sourcePort, targetPort, payload } = datagram;
    if (targetPort === SERVER_PORT) {
      const reply = dhcpAnswer(payload, book);
      if (reply === undefined) return undefined;
      // A client without an address hears what is sent to everybody.
      return udpFrame(
        { mac: MAC, address: own, port: SERVER_PORT },
        { mac: EVERYBODY, address: BROADCAST, port: CLIENT_PORT },
        reply,
      );
    }
    if (targetPort !== DNS_PORT || datagram.target.join() !== own.join()) return undefined;
    const reply = dnsAnswer(payload, book);
    return (
      reply &&
      udpFrame(
        { mac: MAC, address: own, port: DNS_PORT },
        { mac: sourceMac, address: source, port: sourcePort },
        reply,
      )
    );
  };
  const frames = new FramePort(port.wire, reactor, (frame) => {
    const datagram = parseDatagram(frame);
    const reply = datagram === undefined ? arpReply(frame, MAC, own) : serve(datagram);
    if (reply !== undefined) frames.send(reply);
  });
  closeFd(port.wire.fd);
  return {
    port: port.id,
    *close() {
      frames.close();
      yield* port.close();
    },
    abandon: () => frames.close(),
  };
};

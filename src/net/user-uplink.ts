/**
 * A way out for the guests of a bridge: QEMU's user networking (libslirp) in a QEMU without a machine, wired to a
 * port of the bridge. It opens ordinary sockets on the host, so it needs no privilege and leaves nothing behind.
 * It is the router at host 2 of the subnet and a DNS forwarder at host 3.
 */

import { HostError } from "../errors/errors.ts";
import type { Uplink } from "../lab/network-host.ts";
import { addressOf, networkOf, RESOLVER_HOST, type Subnet, UPLINK_HOST } from "../lab/subnet.ts";
import { closeFd, readSome, socketPair } from "../sys/libc.ts";
import { after, type Op, until } from "../sys/op.ts";
import { type Child, spawn } from "../sys/process.ts";
import { POLLIN, type Reactor } from "../sys/reactor.ts";
import type { BackendBridge, Wire } from "./backend.ts";

export interface UserUplinkHost {
  readonly reactor: Reactor;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly helper: string;
  /** Path of QEMU. Throws HostError where there is none. */
  qemu(): string;
}

const WIRE_FD = 3;
const MONITOR_FD = 4;
/** How long a QEMU may take to start, or to say that it is built without libslirp. */
const START_MS = 30_000;
const GREETING_BYTES = 4096;
const MAC = "52:54:02:00:00:02";

const wireDevice = (wire: Wire): string =>
  wire.kind === "tap" ? `tap,id=bridge,fd=${WIRE_FD},vhost=off` : `socket,id=bridge,fd=${WIRE_FD}`;

/** The command line of a QEMU that only carries packets. Not in JSON, which QEMUs before 7.2 do not take here. */
export const uplinkArguments = (subnet: Subnet, wire: Wire): readonly string[] => {
  const router = addressOf(subnet, UPLINK_HOST);
  const resolver = addressOf(subnet, RESOLVER_HOST);
  // Its own responder has nobody to answer: addresses are given by us.
  const unused = addressOf(subnet, RESOLVER_HOST + 1);
  const netdevs = [
    `user,id=host,ipv6=off,net=${networkOf(subnet)},host=${router},dns=${resolver},dhcpstart=${unused}`,
    "hubport,id=hub-host,hubid=0,netdev=host",
    wireDevice(wire),
    "hubport,id=hub-bridge,hubid=0,netdev=bridge",
  ];
  return [
    ...["-M", "none", "-nodefaults", "-no-user-config", "-display", "none"],
    ...["-chardev", `socket,id=monitor,fd=${MONITOR_FD}`, "-mon", "chardev=monitor,mode=control"],
    ...netdevs.flatMap((netdev) => ["-netdev", netdev]),
  ];
};

/** Waits until QEMU has made what its command line says: its monitor greets then. False when it has ended instead. */
function* greeted(child: Child, monitor: number, reactor: Reactor): Op<boolean> {
  let up = false;
  const watch = reactor.watch(monitor, POLLIN, () => {
    up = readSome(monitor, new Uint8Array(GREETING_BYTES)) > 0;
    watch.close();
  });
  try {
    yield* until(() => up || child.exit !== undefined, after(START_MS));
    return up;
  } finally {
    watch.close();
  }
}

export const openUserUplink = function* (
  bridge: BackendBridge,
  subnet: Subnet,
  host: UserUplinkHost,
): Op<Uplink> {
  const program = host.qemu();
  const port = yield* bridge.openPort("uplink", MAC);
  const given = [port.wire.fd];
  try {
    const [monitor, theirs] = socketPair();
    given.push(monitor, theirs);
    const child = spawn(
      {
        program,
        args: uplinkArguments(subnet, port.wire),
        env: host.env,
        descriptors: [
          { from: port.wire.fd, to: WIRE_FD },
          { from: theirs, to: MONITOR_FD },
        ],
        helper: host.helper,
        ownGroup: true,
      },
      host.reactor,
    );
    try {
      if (!(yield* greeted(child, monitor, host.reactor)))
        throw new HostError(
          `bridge:enable_uplink: QEMU's user networking did not start: ${child.output().trim()}`,
          {
            hint: "this needs a QEMU built with libslirp",
          },
        );
    } catch (error) {
      child.close();
      throw error;
    }
    return {
      way: "user",
      port: port.id,
      *close() {
        child.close();
        yield* port.close();
      },
      abandon: () => child.close(),
    };
  } catch (error) {
    yield* port.close();
    throw error;
  } finally {
    for (const fd of given) closeFd(fd);
  }
};

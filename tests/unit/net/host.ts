/** A host behind a card of the switch: what the tests of routes send and wait for. */

import { macText } from "../../../src/packet/addresses.ts";
import { dissect } from "../../../src/packet/dissect.ts";
import { eth } from "../packet/frames.ts";
import type { Lab, Nic } from "./nics.ts";

export class Host {
  readonly mac: string;

  /** `ethertype` is that of what it sends. */
  constructor(
    readonly lab: Lab,
    readonly nic: Nic,
    readonly ip: string,
    private readonly ethertype: number,
  ) {
    this.mac = macText(nic.mac);
  }

  get packets() {
    return this.nic.frames.map(dissect);
  }

  send(to: string, packet: Uint8Array): void {
    this.nic.send(eth(to, this.mac, this.ethertype, packet));
  }

  /** Waits for an ICMP message of that type, of either family. */
  told(type: number) {
    const found = () => this.packets.find(({ icmp }) => icmp?.type === type);
    this.lab.until(() => found() !== undefined, `ICMP ${type}`);
    return found()!;
  }
}

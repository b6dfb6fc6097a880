/** A QEMU that is started to be asked something and not to run a guest: its process and its monitor. */

import type { Identity } from "../sys/identity.ts";
import { closeFd, socketPair } from "../sys/libc.ts";
import { type Child, spawn } from "../sys/process.ts";
import type { Reactor } from "../sys/reactor.ts";
import { Qmp } from "./qmp.ts";

const MONITOR_FD = 3;
const LENT_FD = 4;
/** What the program finds a descriptor under that it is lent. */
export const LENT = `/proc/self/fd/${LENT_FD}`;

export interface EnquiryHost {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly helper?: string | undefined;
  /** Who QEMU runs as, where not as we do: /dev/kvm may be closed to that user. */
  readonly user?: Identity | undefined;
}

export class Enquiry {
  private constructor(
    readonly child: Child,
    readonly qmp: Qmp,
  ) {}

  /**
   * Starts `program` stopped, with `args` beside what every enquiry has. Nobody has greeted anybody yet. `lent`, which
   * stays the caller's, is the file LENT for it.
   */
  static start(
    program: string,
    args: readonly string[],
    host: EnquiryHost,
    reactor: Reactor,
    lent?: number,
  ): Enquiry {
    const [ours, theirs] = socketPair();
    const qmp = new Qmp(ours, reactor);
    try {
      const child = spawn(
        {
          program,
          args: [
            ...["-nodefaults", "-no-user-config", "-display", "none", "-S"],
            ...["-chardev", `socket,id=monitor,fd=${MONITOR_FD}`, "-qmp", "chardev:monitor"],
            ...args,
          ],
          env: host.env,
          descriptors: [
            { from: theirs, to: MONITOR_FD },
            ...(lent === undefined ? [] : [{ from: lent, to: LENT_FD }]),
          ],
          helper: host.helper,
          ownGroup: true,
          as: host.user,
        },
        reactor,
      );
      return new Enquiry(child, qmp);
    } catch (error) {
      qmp.close();
      throw error;
    } finally {
      closeFd(theirs);
    }
  }

  close(): void {
    this.child.close();
    this.qmp.close();
  }
}

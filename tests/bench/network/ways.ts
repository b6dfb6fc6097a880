/** What may stand between two network cards: nothing, a process that copies, the userland switch, the kernel's bridge. */

import { join, resolve } from "node:path";
import { HostError } from "../../../src/errors/errors.ts";
import type { Backend, BackendBridge, Port } from "../../../src/net/backend.ts";
import { openBackend } from "../../../src/net/choose.ts";
import { UserBackend } from "../../../src/net/switch.ts";
import { SwitchControl } from "../../../src/net/switch-control.ts";
import { closeFd, socketPair } from "../../../src/sys/libc.ts";
import { after, type Op } from "../../../src/sys/op.ts";
import { type Child, spawn } from "../../../src/sys/process.ts";
import { Reactor } from "../../../src/sys/reactor.ts";
import { compile } from "../channel/compile.ts";

const HELPER = resolve("build/agent/provium-helper");
/** As the ports of the switch have it. */
const BUFFER_BYTES = 512 * 1024;
/** The longest frame that a TAP takes. */
const TAP_MTU = 65_521;
const WAIT_MS = 120_000;

const { env } = process;

/** Something that connects two cards. */
export interface Connection {
  readonly kind: "stream" | "tap";
  readonly ends: readonly [number, number];
  close(): void;
}

export class Ways {
  readonly reactor = new Reactor();
  private readonly nics: string;

  /** Compiles the cards into the directory. */
  constructor(private readonly directory: string) {
    this.nics = join(directory, "nics");
    compile(resolve("tests/bench/network/nics.c"), this.nics);
  }

  /** Has the cards at the ends do something; what they printed. */
  *cards({ kind, ends }: Pick<Connection, "kind" | "ends">, args: readonly string[]): Op<string> {
    const child = this.start(kind === "tap" ? ["tap", ...args] : args, ...ends);
    const exit = yield* child.wait(after(WAIT_MS));
    const said = child.output().trim();
    child.close();
    if (exit?.code !== 0) throw new Error(`nics: ${said || "did not end"}`);
    return said;
  }

  direct(): Connection {
    const ends = socketPair(BUFFER_BYTES);
    return { kind: "stream", ends, close: () => ends.forEach(closeFd) };
  }

  copier(): Connection {
    const [a, left] = socketPair(BUFFER_BYTES);
    const [b, right] = socketPair(BUFFER_BYTES);
    const child = this.start(["copy"], left, right);
    for (const fd of [left, right]) closeFd(fd);
    return {
      kind: "stream",
      ends: [a, b],
      close: () => {
        for (const fd of [a, b]) closeFd(fd);
        child.close();
      },
    };
  }

  openSwitch(): UserBackend {
    return new UserBackend(SwitchControl.start({ reactor: this.reactor, env, helper: HELPER }));
  }

  /** Undefined where this host has none. */
  openKernel(): Backend | undefined {
    const { reactor, directory } = this;
    try {
      return reactor.run(openBackend("kernel", { reactor, env, helper: HELPER, directory }));
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      console.log(`not measured: ${error.message}`);
      return undefined;
    }
  }

  openBridge(backend: Backend, mtu = TAP_MTU): BackendBridge {
    return this.reactor.run(backend.openBridge({ name: "lan", mtu }));
  }

  openPorts(bridge: BackendBridge, count: number): Port[] {
    return Array.from({ length: count }, (_, i) =>
      this.reactor.run(bridge.openPort(`nic${i}`, `52:54:00:00:00:${String(i + 1).padStart(2, "0")}`)),
    );
  }

  /** Over two ports of a bridge; the backend ends with it. */
  over(backend: Backend, prepare?: (bridge: BackendBridge) => void): Connection {
    const bridge = this.openBridge(backend);
    const [a, b] = this.openPorts(bridge, 2) as [Port, Port];
    prepare?.(bridge);
    const ends = [a.wire.fd, b.wire.fd] as const;
    return {
      kind: a.wire.kind,
      ends,
      close: () => {
        ends.forEach(closeFd);
        backend.close();
      },
    };
  }

  private start(args: readonly string[], a: number, b: number): Child {
    const descriptors = [
      { from: a, to: 3 },
      { from: b, to: 4 },
    ];
    return spawn({ program: this.nics, args, env, descriptors, helper: HELPER }, this.reactor);
  }
}

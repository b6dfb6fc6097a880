/**
 * The local VMM: the "machine" is an agent process of this host, so that tests of the harness itself, and of
 * things that need no kernel of their own, cost no boot. Nothing is isolated: commands run as this user here. Only the
 * host's clock and power are out of their reach (agent/guest/restraint.h).
 */

import type { Channel } from "../channel/channel.ts";
import { openLocal } from "../channel/local.ts";
import { SEND_BUFFER_BYTES } from "../channel/stream.ts";
import { connectVsock } from "../channel/vsock.ts";
import { ApiError, HostError, ProviumError } from "../errors/errors.ts";
import type { ConsolePort, LaunchSpec, Machine, MachineImage, Vmm } from "../lab/ports.ts";
import { closeFd, pipePair, readSome, setNonBlocking, socketPair } from "../sys/libc.ts";
import type { Deadline, Op } from "../sys/op.ts";
import { until } from "../sys/op.ts";
import { type Child, exitText, SIGCONT, SIGSTOP, SIGTERM, spawn } from "../sys/process.ts";
import { POLLIN, type Reactor } from "../sys/reactor.ts";

export interface LocalHost {
  readonly reactor: Reactor;
  /** The environment that the agent, and so every command, starts with. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Path of `provium-agent`. */
  readonly agent: string;
  /** Path of `provium-helper`, which makes the agent end with this process. */
  readonly helper?: string | undefined;
}

/** VMADDR_CID_LOCAL of <linux/vm_sockets.h>: this host, through its vsock loopback. */
const CID_LOCAL = 1;
const AGENT_FD = 3;
/**
 * How long an agent whose session has ended may take to end its commands and itself, on a starved host too: after that
 * its guard is killed, and nobody ends what the commands of an agent that died have left (agent/guest/guard.c).
 */
const GOODBYE_MS = 5_000;
const PORT_LINE = /^(\d+)\n/;

const lacks = (what: string, instead: string): ApiError =>
  new ApiError(`the local VMM has no ${what}: it boots no kernel`, { hint: instead });

const WITH_QEMU = "run with --vmm qemu to have a machine";

/** There is no console; its log is empty for ever. */
const noConsole: ConsolePort = {
  missing: true,
  length: 0,
  log: () => new Uint8Array(0),
  tail: () => "",
  read: () => new Uint8Array(0),
  kept: (offset) => offset,
  // biome-ignore lint/correctness/useYield: an operation that never gets to wait
  *write(): Op<void> {
    throw lacks("console", WITH_QEMU);
  },
  socketPath(): string {
    throw lacks("console socket", WITH_QEMU);
  },
};

/** An agent process and the way to it. */
interface Running {
  readonly child: Child;
  connect(deadline: Deadline): Op<Channel>;
  /** Lets go of descriptors that no channel has taken over. */
  release(): void;
}

class LocalMachine implements Machine {
  readonly transport: "local" | "vsock";
  readonly cid: number | undefined;
  readonly console = noConsole;
  death: Error | undefined;
  private readonly listeners: ((reason: Error) => void)[] = [];
  private running: Running;
  private channel: Channel | undefined;
  private exitWanted = false;
  private paused = false;
  private closed = false;

  constructor(
    private readonly host: LocalHost,
    private readonly name: string,
    overVsock: boolean,
  ) {
    this.transport = overVsock ? "vsock" : "local";
    this.cid = overVsock ? CID_LOCAL : undefined;
    this.running = this.start();
  }

  get pid(): number {
    return this.running.child.pid;
  }

  onDeath(listener: (reason: Error) => void): void {
    if (this.death === undefined) this.listeners.push(listener);
    else listener(this.death);
  }

  *connect(deadline: Deadline): Op<Channel> {
    if (this.death !== undefined) throw this.death;
    this.channel = yield* this.running.connect(deadline);
    return this.channel;
  }

  // The group: the agent is the guard, which was started, and the one that serves.
  // biome-ignore lint/correctness/useYield: a signal takes no waiting
  *pause(): Op<void> {
    this.running.child.signalGroup(SIGSTOP);
    this.paused = true;
  }

  // biome-ignore lint/correctness/useYield: a signal takes no waiting
  *resume(): Op<void> {
    this.running.child.signalGroup(SIGCONT);
    this.paused = false;
  }

  /** A new agent takes the place of the old one, whose commands have ended with it. */
  *reset(): Op<void> {
    this.stop();
    yield* until(() => true);
    this.running = this.start();
  }

  // biome-ignore lint/correctness/useYield: an operation that never gets to wait
  *powerButton(): Op<void> {
    throw lacks("power button", "use vm:shutdown()");
  }

  // biome-ignore lint/correctness/useYield: an operation that never gets to wait
  *plugNic(): Op<void> {
    throw lacks("network interfaces", WITH_QEMU);
  }

  // biome-ignore lint/correctness/useYield: an operation that never gets to wait
  *unplugNic(): Op<boolean> {
    throw lacks("network interfaces", WITH_QEMU);
  }

  // biome-ignore lint/correctness/useYield: an operation that never gets to wait
  *setLink(): Op<void> {
    throw lacks("network interfaces", WITH_QEMU);
  }

  // biome-ignore lint/correctness/useYield: an operation that never gets to wait
  *plugDisk(): Op<void> {
    throw lacks("disks", WITH_QEMU);
  }

  // biome-ignore lint/correctness/useYield: an operation that never gets to wait
  *unplugDisk(): Op<undefined> {
    throw lacks("disks", WITH_QEMU);
  }

  // biome-ignore lint/correctness/useYield: an operation that never gets to wait
  *resizeDisk(): Op<void> {
    throw lacks("disks", WITH_QEMU);
  }

  // biome-ignore lint/correctness/useYield: an operation that never gets to wait
  *save(): Op<MachineImage> {
    throw lacks("snapshots", WITH_QEMU);
  }

  expectExit(): void {
    this.exitWanted = true;
  }

  *waitExit(deadline: Deadline): Op<boolean> {
    return (yield* this.running.child.wait(deadline)) !== undefined;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.exitWanted = true;
    this.stop();
  }

  private start(): Running {
    const running = this.transport === "vsock" ? startOverVsock(this.host) : startOverPair(this.host);
    running.child.onExit((exit) => {
      if (this.running !== running || this.exitWanted || this.death !== undefined) return;
      const said = running.child.output().trim();
      this.death = new ProviumError(
        `the local agent of ${this.name} ended with ${exitText(exit)}${said === "" ? "" : `; it said: ${said}`}`,
      );
      for (const listener of this.listeners.splice(0)) listener(this.death);
    });
    return running;
  }

  /** Ends the agent. Its channel goes first: at the end of a session it ends every command and what they left. */
  private stop(): void {
    const { running } = this;
    this.channel?.close();
    this.channel = undefined;
    running.release();
    if (this.paused) running.child.signalGroup(SIGCONT);
    this.paused = false;
    this.running = { ...running, connect: gone };
    // One that listens does not end with its session.
    if (this.transport === "vsock") running.child.signal(SIGTERM);
    running.child.close(GOODBYE_MS);
  }
}

// biome-ignore lint/correctness/useYield: an operation that never gets to wait
const gone = function* (): Op<Channel> {
  throw new ProviumError("the local agent was ended");
};

const spawnAgent = (host: LocalHost, args: string[], descriptors: { from: number; to: number }[]): Child =>
  spawn(
    // Asked, not killed: it has commands to end, which would outlive it.
    {
      program: host.agent,
      args,
      env: host.env,
      descriptors,
      helper: host.helper,
      asked: true,
      ownGroup: true,
    },
    host.reactor,
  );

/** One session over a socket pair. */
const startOverPair = (host: LocalHost): Running => {
  const [ours, theirs] = socketPair(SEND_BUFFER_BYTES);
  let mine: number | undefined = ours;
  const release = (): void => {
    if (mine !== undefined) closeFd(mine);
    mine = undefined;
  };
  try {
    // Without the helper: a parent-death signal would end the agent before its commands. The end of the pair, which
    // comes with the end of this process, makes it end them and itself.
    const alone = { ...host, helper: undefined };
    const child = spawnAgent(alone, ["--fd", String(AGENT_FD)], [{ from: theirs, to: AGENT_FD }]);
    return {
      child,
      release,
      // biome-ignore lint/correctness/useYield: the pair is connected from the start
      *connect() {
        if (mine === undefined)
          throw new HostError("the local agent serves one session, and that has ended", {
            hint: "boot the VM again, or use vm:reset()",
          });
        const fd = mine;
        mine = undefined;
        return openLocal(host.reactor, fd);
      },
    };
  } catch (error) {
    release();
    throw error;
  } finally {
    closeFd(theirs);
  }
};

/** Any number of sessions over the host's vsock loopback; the agent prints the port it got. */
const startOverVsock = (host: LocalHost): Running => {
  const [reader, writer] = pipePair();
  let said = "";
  let ended = false;
  let child: Child;
  try {
    child = spawnAgent(host, ["--listen-vsock", "0"], [{ from: writer, to: 1 }]);
  } catch (error) {
    closeFd(reader);
    throw error;
  } finally {
    closeFd(writer);
  }
  setNonBlocking(reader);
  const watch = host.reactor.watch(reader, POLLIN, () => {
    const chunk = new Uint8Array(64);
    const n = readSome(reader, chunk);
    if (n > 0 && said.length < 64) said += new TextDecoder().decode(chunk.subarray(0, n));
    if (n <= 0 || PORT_LINE.test(said)) release();
  });
  const release = (): void => {
    if (!ended) {
      ended = true;
      watch.close();
      closeFd(reader);
    }
  };
  return {
    child,
    release,
    *connect(deadline) {
      yield* until(() => ended || child.exit !== undefined, deadline);
      const port = PORT_LINE.exec(said)?.[1];
      if (port === undefined) {
        const why = child.exit === undefined ? "" : ` (it ended with ${exitText(child.exit)})`;
        throw new HostError(`the local agent did not tell its vsock port${why}: ${child.output().trim()}`, {
          hint: "this needs the kernel's vsock loopback: modprobe vsock_loopback",
        });
      }
      return yield* connectVsock(host.reactor, CID_LOCAL, Number(port), deadline, () =>
        child.exit === undefined
          ? undefined
          : new ProviumError(`the local agent ended with ${exitText(child.exit)}`),
      );
    },
  };
};

export class LocalVmm implements Vmm {
  readonly kind = "local";

  constructor(private readonly host: LocalHost) {}

  // biome-ignore lint/correctness/useYield: starting a process takes no waiting
  *launch(spec: LaunchSpec): Op<Machine> {
    const disk = spec.disks[0];
    if (disk !== undefined)
      throw new ApiError(`the local VMM has no disks: \`${disk.id}\` cannot be attached`, {
        hint: WITH_QEMU,
      });
    if (spec.nics?.length) throw lacks("network interfaces", WITH_QEMU);
    return new LocalMachine(this.host, spec.name, spec.transport === "vsock");
  }
}

/**
 * The VMM that `--vmm local` names. Kernel, initrd, memory, CPUs and command line of a launch are without
 * meaning here and ignored; disks are refused. With transport `vsock` the way leads over the vsock loopback.
 */
export const createLocalVmm = (host: LocalHost): Vmm => new LocalVmm(host);

/**
 * Starts machines with QEMU. What QEMU needs from us (monitor, serial port, agent port, vsock) is a descriptor that it
 * inherits: no socket file, nothing to clean up, nothing that another user could open. Only the pipes of the virtio
 * console have names, in the machine's own directory.
 */

import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { SEND_BUFFER_BYTES } from "../channel/stream.ts";
import { HostError, InterruptedError, ProviumError } from "../errors/errors.ts";
import type { LaunchSpec, Machine, Vmm } from "../lab/ports.ts";
import { SERIAL_CONSOLE } from "../sys/architecture.ts";
import { openFifo } from "../sys/fifo.ts";
import type { Identity } from "../sys/identity.ts";
import { closeFd, dupFd, socketPair } from "../sys/libc.ts";
import { after, type Deadline, type Op } from "../sys/op.ts";
import { type Child, exitText, spawn } from "../sys/process.ts";
import type { Reactor } from "../sys/reactor.ts";
import { BOARDS } from "./architecture.ts";
import { type Descriptors, type Files, qemuArguments } from "./arguments.ts";
import { type Capabilities, EVERYTHING, refuseWhatCannotBe } from "./capabilities.ts";
import { reserveCid } from "./cid.ts";
import { consoleDevice, type Ends, MachineConsole } from "./console.ts";
import { DeviceFeed } from "./device-feed.ts";
import { EntropyServer } from "./entropy.ts";
import { writeFirmware } from "./guest-memory.ts";
import { handOver } from "./handing.ts";
import { checkImage } from "./image.ts";
import { askCapabilities } from "./introspection.ts";
import { QemuMachine } from "./machine.ts";
import { type Gate, Mailbox } from "./mailbox.ts";
import { findQemu } from "./program.ts";
import { Qmp } from "./qmp.ts";
import { DEVICES_FILE, firmwareOf, openSaved, RAM_FILE, verifyFiles } from "./save.ts";
import { TreeServer, virtiofsdHint } from "./virtiofsd.ts";

export interface QemuHost {
  readonly reactor: Reactor;
  /** Searched for QEMU and handed to it. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Path of `provium-helper`, which makes QEMU end with this process. */
  readonly helper?: string | undefined;
  /** Who QEMU runs as, where not as we do; with `helper` only. */
  readonly user?: Identity | undefined;
}

/** First descriptor number that QEMU inherits beyond the standard three. */
const FIRST_FD = 3;
const EXIT_MS = 1_000;
/**
 * What hvc0 may say while nobody reads; then QEMU drops it. All pipes of a user without privileges may hold 64 MiB
 * together (/proc/sys/fs/pipe-user-pages-soft).
 */
const CONSOLE_BYTES = 256 * 1024;
/** A gate is closed by filling it, so it is small. */
const GATE_BYTES = 4096;

/** Descriptors of a launch: `theirs` are closed once QEMU runs, `ours` when the launch fails. */
class Wiring {
  readonly map: { from: number; to: number }[] = [];
  private ours: number[] = [];
  private theirs: number[] = [];

  /** A socket pair: our end, and the number under which QEMU finds the other. */
  pair(bufferBytes?: number): { readonly ours: number; readonly number: number } {
    const [ours, theirs] = socketPair(bufferBytes);
    this.ours.push(ours);
    return { ours, number: this.give(theirs) };
  }

  /** Two named pipes that QEMU opens by `path`: our ends. */
  pipes(path: string): Ends {
    return {
      reads: this.keep(openFifo(`${path}.out`, CONSOLE_BYTES)),
      writes: this.keep(openFifo(`${path}.in`)),
    };
  }

  /** The mailbox of a machine whose runs repeat, and the numbers of its bell and gates. */
  mailbox(
    path: string,
    reactor: Reactor,
    rung: () => void,
  ): { readonly mailbox: Mailbox; readonly numbers: readonly [number, number, number] } {
    const [bell, bellTheirs] = socketPair();
    const gates = [socketPair(GATE_BYTES), socketPair(GATE_BYTES)] as const;
    const gate = ([reads, theirs]: readonly [number, number]): Gate => ({ reads, fills: dupFd(theirs) });
    const numbers = [this.give(bellTheirs), this.give(gates[0][1]), this.give(gates[1][1])] as const;
    return { mailbox: new Mailbox(path, bell, [gate(gates[0]), gate(gates[1])], reactor, rung), numbers };
  }

  /** A reserved CID, and the number under which QEMU finds the device that holds it. */
  vsock(): { readonly fd: number; readonly cid: number } {
    const { fd, cid } = reserveCid();
    return { fd: this.give(fd), cid };
  }

  /** Lets QEMU inherit `fd`, which stays its owner's. */
  lend(fd: number): number {
    const number = FIRST_FD + this.map.length;
    this.map.push({ from: fd, to: number });
    return number;
  }

  /** Hands `fd` to QEMU and returns its number there. */
  give(fd: number): number {
    this.theirs.push(fd);
    return this.lend(fd);
  }

  /** Closes `fd` unless somebody takes it. */
  keep(fd: number): number {
    this.ours.push(fd);
    return fd;
  }

  /** `fd` has found an owner that will close it. */
  taken(fd: number): number {
    this.ours = this.ours.filter((other) => other !== fd);
    return fd;
  }

  started(): void {
    for (const fd of this.theirs.splice(0)) closeFd(fd);
  }

  abandon(): void {
    this.started();
    for (const fd of this.ours.splice(0)) closeFd(fd);
  }
}

/** One descriptor for both directions. */
const sameEnds = (fd: number): Ends => ({ reads: fd, writes: fd });

const filesOf = (directory: string): Files => ({
  serial0: join(directory, "serial0"),
  hvc0: join(directory, "hvc0"),
  mailbox: join(directory, "mailbox"),
});

/** The VMM that `--vmm qemu` names. Nothing is started or looked for before the first launch. */
export class QemuVmm implements Vmm {
  readonly kind = "qemu";
  /** What each program has told of itself; one that has not been asked is taken to do everything. */
  private readonly asked = new Map<string, Capabilities>();

  constructor(private readonly host: QemuHost) {}

  *launch(spec: LaunchSpec, deadline: Deadline): Op<Machine> {
    const program = findQemu(this.host.env, spec.architecture);
    checkImage("kernel", spec.kernel);
    checkImage("initrd", spec.initrd);
    mkdirSync(spec.directory, { recursive: true, mode: 0o700 });
    const asked = this.asked.get(program);
    try {
      return yield* this.start(program, spec, asked ?? EVERYTHING, deadline);
    } catch (error) {
      if (asked !== undefined || !(error instanceof EndedAtOnce)) throw error;
      const capabilities = yield* this.ask(program, spec);
      if (isDeepStrictEqual(capabilities, EVERYTHING)) throw error;
      return yield* this.start(program, spec, capabilities, deadline);
    }
  }

  /** Asks a QEMU that has refused to start what it can do. One that does not answer is taken at its first word. */
  private *ask(program: string, { architecture }: LaunchSpec): Op<Capabilities> {
    let found = EVERYTHING;
    try {
      found = yield* askCapabilities(program, BOARDS[architecture], this.host, this.host.reactor);
    } catch (error) {
      if (!(error instanceof ProviumError) || error instanceof InterruptedError) throw error;
    }
    this.asked.set(program, found);
    return found;
  }

  private *start(
    program: string,
    spec: LaunchSpec,
    capabilities: Capabilities,
    deadline: Deadline,
  ): Op<Machine> {
    refuseWhatCannotBe(spec, capabilities);
    const { reactor } = this.host;
    const { saved } = spec;
    const wiring = new Wiring();
    const serialDevice = SERIAL_CONSOLE[spec.architecture];
    const release: (() => void)[] = [() => wiring.abandon()];
    try {
      const monitor = wiring.pair();
      const files = spec.deterministic ? filesOf(spec.directory) : undefined;
      const serial = files === undefined ? wiring.pair() : undefined;
      const hypervisorPath = join(spec.directory, "hvc0");
      const hypervisor = files === undefined ? wiring.pipes(hypervisorPath) : undefined;
      const vsock = spec.transport === "vsock" && files === undefined ? wiring.vsock() : undefined;
      const agent = vsock === undefined && files === undefined ? wiring.pair(SEND_BUFFER_BYTES) : undefined;
      const seeded = spec.rngSeed === undefined || files !== undefined ? undefined : wiring.pair();
      const tree =
        spec.rootTree?.protocol === "virtiofs"
          ? TreeServer.start(spec.rootTree.path, spec.directory, this.host)
          : undefined;
      if (tree !== undefined) release.push(() => tree.close());
      const base = saved && wiring.keep(openSaved(saved.directory, RAM_FILE));
      const devices = saved && wiring.keep(openSaved(saved.directory, DEVICES_FILE));
      const feeding = saved && wiring.pair(SEND_BUFFER_BYTES);
      let console: MachineConsole | undefined;
      const box =
        files === undefined ? undefined : wiring.mailbox(files.mailbox, reactor, () => console?.drain());
      if (box !== undefined)
        release.push(() => {
          box.mailbox.close();
          rmSync((files as Files).mailbox, { force: true });
        });
      const opened = {
        spec,
        ram: saved && join(saved.directory, RAM_FILE),
        files,
        pipes: hypervisor && hypervisorPath,
      };
      const given =
        this.host.user === undefined ? opened : yield* handOver(opened, base, (fd) => wiring.give(fd));
      const descriptors: Descriptors = {
        monitor: monitor.number,
        serial: serial?.number,
        hypervisor: given.pipes,
        agent: agent?.number,
        vsock,
        entropy: seeded?.number,
        mailbox: box?.numbers,
        nics: spec.nics?.map(({ wire }) => wiring.lend(wire.fd)),
        disks: spec.disks.map(({ fd }) => wiring.lend(fd)),
        tree: tree && wiring.give(tree.take()),
        devices: feeding?.number,
      };
      let machine: QemuMachine | undefined;
      const consoles = new MachineConsole(
        join(spec.directory, "console.log"),
        {
          [serialDevice]: serial === undefined ? (files as Files).serial0 : sameEnds(serial.ours),
          hvc0: hypervisor ?? (files as Files).hvc0,
        },
        consoleDevice(spec.cmdline, serialDevice),
        reactor,
        (reason, complete) => machine?.panicked(reason, complete),
      );
      // Only now: where the log cannot be made, nobody else would close them.
      if (serial !== undefined) wiring.taken(serial.ours);
      if (hypervisor !== undefined) for (const fd of Object.values(hypervisor)) wiring.taken(fd);
      release.push(() => consoles.close());
      console = consoles;
      const child = spawn(
        {
          program,
          args: qemuArguments(given.spec, descriptors, capabilities, given.ram, given.files),
          env: this.host.env,
          descriptors: wiring.map,
          helper: this.host.helper,
          ownGroup: true,
          batch: true,
          as: this.host.user,
        },
        reactor,
      );
      release.push(() => child.close());
      wiring.started();
      const qmp = new Qmp(wiring.taken(monitor.ours), reactor);
      release.push(() => qmp.close());
      const feed =
        devices === undefined || feeding === undefined
          ? undefined
          : new DeviceFeed(wiring.taken(devices), wiring.taken(feeding.ours), reactor);
      if (feed !== undefined) release.push(() => feed.close());
      const entropy =
        seeded === undefined
          ? undefined
          : new EntropyServer(
              wiring.taken(seeded.ours),
              spec.rngSeed as bigint,
              reactor,
              saved?.image.entropyRead,
            );
      if (entropy !== undefined) release.push(() => entropy.close());
      machine = new QemuMachine({
        spec,
        capabilities,
        child,
        qmp,
        console: consoles,
        reactor,
        agent:
          box?.mailbox ??
          (agent === undefined ? { cid: vsock?.cid as number } : { fd: wiring.taken(agent.ours) }),
        entropy,
        base: base === undefined ? undefined : wiring.taken(base),
        feed,
        tree,
      });
      const started = machine;
      release.push(() => started.close());
      // QEMU starts meanwhile: the files are read for it to map in any case.
      if (saved !== undefined) yield* verifyFiles(saved.directory, saved.image.files);
      try {
        yield* qmp.open(deadline);
        if (saved !== undefined) yield* this.takeUp(saved, qmp, child);
      } catch (error) {
        throw yield* this.launchError(program, child, tree, error);
      }
      for (const nic of spec.nics ?? []) if (!nic.up) yield* machine.setLink(nic.id, false);
      return machine;
    } catch (error) {
      for (const undo of release.reverse()) undo();
      throw error;
    }
  }

  /** What a QEMU that goes on from a snapshot needs beside the devices and the RAM that it was started with. */
  private *takeUp(saved: NonNullable<LaunchSpec["saved"]>, qmp: Qmp, child: Child): Op<void> {
    if (qmp.version !== saved.image.qemu)
      throw new HostError(
        `snapshot ${saved.directory} was taken with QEMU ${saved.image.qemu}, and this is QEMU ${qmp.version}`,
        { hint: "take the snapshot anew" },
      );
    yield* writeFirmware(qmp, child.pid, firmwareOf(saved.directory));
  }

  /** QEMU's own words where it has ended, else the error as it came. */
  private *launchError(
    program: string,
    child: Child,
    tree: TreeServer | undefined,
    error: unknown,
  ): Op<unknown> {
    const exit = yield* child.wait(after(EXIT_MS));
    if (tree?.end !== undefined) return new HostError(tree.end, { hint: virtiofsdHint(tree.end) });
    if (exit === undefined) return error;
    const said = child.output().trim();
    const { user } = this.host;
    return new EndedAtOnce(
      `QEMU ended at once with ${exitText(exit)}: ${said === "" ? "it said nothing" : said}`,
      {
        where: program,
        cause: error,
        hint: user && `it runs as \`${user.name}\` (run_as), who has to be allowed what it opens itself`,
      },
    );
  }
}

/** QEMU has not come so far that it could be spoken to. */
class EndedAtOnce extends HostError {}

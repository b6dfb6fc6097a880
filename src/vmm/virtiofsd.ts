/** virtiofsd, which serves a tree of this host to a guest. QEMU 7.2 still brings its own; newer ones are a project apart. */

import { HostError } from "../errors/errors.ts";
import { closeFd } from "../sys/libc.ts";
import { type Child, exitText, spawn } from "../sys/process.ts";
import type { Reactor } from "../sys/reactor.ts";
import { listenerWithClient } from "../sys/unix-socket.ts";
import { isProgram } from "./program.ts";

/** It is in no PATH: where distributions have it. */
const PLACES = ["/usr/libexec/virtiofsd", "/usr/lib/qemu/virtiofsd", "/usr/lib/virtiofsd"];
const LISTENING_FD = 3;

const ALL_ONE_TREE = "--no-announce-submounts";
/** What `--help` may take at most, of a program that hangs. */
const HELP_MS = 5_000;

/** Its path; undefined where it is not installed. Throws HostError for a PROVIUM_VIRTIOFSD that is no program. */
export const findVirtiofsd = (env: Readonly<Record<string, string | undefined>>): string | undefined => {
  const named = env.PROVIUM_VIRTIOFSD;
  if (named === undefined || named === "") return PLACES.find(isProgram);
  if (isProgram(named)) return named;
  throw new HostError(`PROVIUM_VIRTIOFSD is ${named}, which is not a program`);
};

/** What to do about an end, in its own words, that has a remedy. */
export const virtiofsdHint = (end: string): string | undefined =>
  end.includes("setgroups")
    ? "the virtiofsd of QEMU 7.2 runs for root only: take a later one (PROVIUM_VIRTIOFSD), or a kernel with 9p, which does without"
    : undefined;

/**
 * Newer ones tell the guest which directories are mount points of this host. It then takes these for file systems that
 * are mounted on first use, which an overlay refuses (EREMOTE): /proc, /dev and whatever else is mounted here would be
 * out of the guest's reach. Older ones do no such thing and do not know the option, so the program is asked.
 */
const optionsOf = (program: string): readonly string[] => {
  const { stdout } = Bun.spawnSync([program, "--help"], {
    stdin: "ignore",
    stderr: "ignore",
    timeout: HELP_MS,
    killSignal: "SIGKILL",
  });
  return stdout.includes(ALL_ONE_TREE) ? [ALL_ONE_TREE] : [];
};

export interface TreeHost {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly helper?: string | undefined;
  readonly reactor: Reactor;
}

/**
 * One virtiofsd for one machine. It runs where nothing of this host can be written (provium-helper readonly), enters
 * the tree for good, and ends with the machine or with us.
 */
export class TreeServer {
  private constructor(
    private readonly child: Child,
    private client: number | undefined,
  ) {}

  /** `directory`: a private one of the machine, where a socket has a name for a moment. */
  static start(path: string, directory: string, { env, helper, reactor }: TreeHost): TreeServer {
    const program = findVirtiofsd(env);
    if (program === undefined || helper === undefined) throw new HostError("virtiofsd is not installed");
    const { listening, client } = listenerWithClient(directory);
    try {
      // Words that both the old and the new program know.
      const words = [`--fd=${LISTENING_FD}`, "-o", `source=${path}`, "-o", "sandbox=chroot", "-f"];
      const child = spawn(
        {
          program: helper,
          args: ["readonly", "--", program, ...words, ...optionsOf(program)],
          env,
          descriptors: [{ from: listening, to: LISTENING_FD }],
          helper,
          ownGroup: true,
        },
        reactor,
      );
      return new TreeServer(child, client);
    } catch (error) {
      closeFd(client);
      throw error;
    } finally {
      closeFd(listening);
    }
  }

  /** The connection, for QEMU: the caller's from now on. */
  take(): number {
    const fd = this.client as number;
    this.client = undefined;
    return fd;
  }

  /** How it ended, once it has: in its own words. */
  get end(): string | undefined {
    const { exit } = this.child;
    if (exit === undefined) return undefined;
    const said = this.child.output().trim();
    return `virtiofsd, which serves the root, ended with ${exitText(exit)}${said === "" ? "" : `; it said: ${said}`}`;
  }

  onEnd(listener: () => void): void {
    this.child.onExit(listener);
  }

  close(): void {
    this.child.close();
    if (this.client !== undefined) closeFd(this.take());
  }
}

/** `ip`, `tc` and `nft` in the network namespace of a process, by short-lived children that enter it. */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { HostError } from "../errors/errors.ts";
import { after, type Op } from "../sys/op.ts";
import { type Child, exitText, spawn } from "../sys/process.ts";
import type { Reactor } from "../sys/reactor.ts";

export interface ToolHost {
  readonly reactor: Reactor;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Path of `provium-helper`. */
  readonly helper: string;
  /** Where batches for `ip`, `tc` and `nft` are written. */
  readonly directory: string;
}

/** `directory` is the test file's own; programs for administration are where a user's PATH does not look. */
export const toolHost = (host: ToolHost): ToolHost => ({
  ...host,
  env: { ...host.env, PATH: `${host.env.PATH ?? "/usr/bin:/bin"}:/usr/sbin:/sbin` },
  directory: join(host.directory, "network"),
});

/** Such children work for milliseconds; a host that swaps may need longer. */
export const COMMAND_MS = 20_000;

type Passed = { readonly from: number; readonly to: number };

export type Tool = "ip" | "tc" | "nft";
const ARGUMENTS: Readonly<Record<Tool, readonly string[]>> = {
  ip: ["ip", "-batch"],
  tc: ["tc", "-batch"],
  nft: ["nft", "-f"],
};

export class NetworkTools {
  private batches = 0;

  /** `pid`: of a process in the namespace; our own stands for the host's. */
  constructor(
    protected readonly host: ToolHost,
    readonly pid: number,
    /** For errors: "on the host". */
    private readonly where: string,
  ) {}

  /** Set once the namespace is gone. */
  get death(): HostError | undefined {
    return undefined;
  }

  /** Runs a batch of commands with one process; throws HostError with the tool's own words. */
  *batch(tool: Tool, lines: readonly string[]): Op<void> {
    if (lines.length === 0) return;
    const file = join(this.host.directory, `${tool}-${this.pid}-${++this.batches}`);
    writeFileSync(file, lines.map((line) => `${line}\n`).join(""));
    yield* this.run([...ARGUMENTS[tool], file], tool);
  }

  /** Runs a program inside; its output. */
  *run(command: readonly string[], what = command[0] as string): Op<string> {
    return yield* this.finished(this.start(command, []), what);
  }

  /** Starts a program inside, which is the caller's to end. */
  start(command: readonly string[], descriptors: readonly Passed[]): Child {
    return this.enter("enter", command, descriptors);
  }

  /** Starts what `provium-helper netns ACTION` does inside. */
  protected enter(
    action: "enter" | "tap" | "capture",
    args: readonly string[],
    descriptors: readonly Passed[],
  ): Child {
    if (this.death !== undefined) throw this.death;
    const { helper, env, reactor } = this.host;
    return spawn(
      {
        program: helper,
        args: ["netns", action, String(this.pid), ...args],
        env,
        descriptors,
        helper,
        ownGroup: true,
      },
      reactor,
    );
  }

  protected *finished(child: Child, what: string): Op<string> {
    try {
      const exit = yield* child.wait(after(COMMAND_MS));
      const said = child.output().trim();
      if (exit?.how === "exited" && exit.code === 0) return said;
      throw new HostError(
        `${what} failed ${this.where} (${exit === undefined ? "no end in time" : exitText(exit)}): ${said}`,
      );
    } catch (error) {
      throw this.death ?? error;
    } finally {
      child.close();
    }
  }
}

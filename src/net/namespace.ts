/**
 * A network namespace of this test file's own, held by a child process: it is gone with the child, which is gone
 * with us. What is done inside is done by short-lived children that enter it.
 */

import { mkdirSync } from "node:fs";
import { HostError } from "../errors/errors.ts";
import { wantsProcessor } from "../sys/cpu-time.ts";
import { closeFd, EAGAIN, errnoName, pipePair, readSome, setNonBlocking, socketPair } from "../sys/libc.ts";
import { after, type Op, until } from "../sys/op.ts";
import { receiveDescriptor } from "../sys/passing.ts";
import { type Child, exitText, spawn } from "../sys/process.ts";
import { POLLIN } from "../sys/reactor.ts";
import type { ByteSource } from "./backend.ts";
import { COMMAND_MS, NetworkTools, type ToolHost } from "./network-tools.ts";

export class Namespace extends NetworkTools {
  private closed = false;

  private constructor(
    host: ToolHost,
    private readonly holder: Child,
    private readonly stdin: number,
  ) {
    super(host, holder.pid, "in the test's network namespace");
  }

  /** Makes the namespace; with a user namespace where we are not root. HostError with the helper's own words. */
  static *open(host: ToolHost): Op<Namespace> {
    const [theirStdin, ourStdin] = pipePair();
    const [ourStdout, theirStdout] = pipePair();
    setNonBlocking(ourStdout);
    let said = "";
    const watch = host.reactor.watch(ourStdout, POLLIN, () => {
      const chunk = new Uint8Array(64);
      const n = readSome(ourStdout, chunk);
      if (n > 0) said += new TextDecoder().decode(chunk.subarray(0, n));
      else if (n !== -EAGAIN) watch.close();
    });
    let holder: Child | undefined;
    try {
      holder = spawn(
        {
          program: host.helper,
          args: ["netns", "hold"],
          env: host.env,
          descriptors: [
            { from: theirStdin, to: 0 },
            { from: theirStdout, to: 1 },
          ],
          helper: host.helper,
          ownGroup: true,
        },
        host.reactor,
      );
      const child = holder;
      yield* until(() => said.includes("ready") || child.exit !== undefined, after(COMMAND_MS));
      if (!said.includes("ready"))
        throw new HostError(`this host gives no network namespace: ${child.output().trim() || "no answer"}`, {
          hint: "use --network user, which needs none",
        });
      mkdirSync(host.directory, { recursive: true, mode: 0o700 });
      return new Namespace(host, child, ourStdin);
    } catch (error) {
      holder?.close();
      closeFd(ourStdin);
      throw error;
    } finally {
      watch.close();
      for (const fd of [theirStdin, theirStdout, ourStdout]) closeFd(fd);
    }
  }

  /** Set once the holder is gone. */
  override get death(): HostError | undefined {
    const { exit } = this.holder;
    if (exit === undefined || this.closed) return undefined;
    return new HostError(`the holder of the test's network ended with ${exitText(exit)}`, {
      hint: "the networks of this test file are gone; the next file gets its own",
    });
  }

  /** Makes a TAP; the descriptor is the caller's. */
  *tap(name: string): Op<number> {
    const [ours, theirs] = socketPair();
    try {
      const child = this.enter("tap", [name, "3"], [{ from: theirs, to: 3 }]);
      yield* this.finished(child, "make a TAP");
      const fd = receiveDescriptor(ours);
      if (fd < 0) throw new HostError(`no TAP came from the network namespace: ${errnoName(-fd)}`);
      return fd;
    } finally {
      closeFd(ours);
      closeFd(theirs);
    }
  }

  /** Records an interface; returns once that has begun. */
  *capture(name: string): Op<ByteSource> {
    const [reader, writer] = pipePair();
    let child: Child | undefined;
    try {
      try {
        child = this.enter("capture", [name, "3"], [{ from: writer, to: 3 }]);
      } finally {
        closeFd(writer);
      }
      const recorder = child;
      let begun = false;
      const watch = this.host.reactor.watch(reader, POLLIN, () => {
        begun = true;
        watch.close();
      });
      yield* until(() => begun || recorder.exit !== undefined, after(COMMAND_MS));
      watch.close();
      if (recorder.exit !== undefined) throw new HostError(`cannot record: ${recorder.output().trim()}`);
      let open = true;
      return {
        fd: reader,
        behind: () => wantsProcessor(recorder.pid),
        // biome-ignore lint/correctness/useYield: nothing to wait for
        *close() {
          if (!open) return;
          open = false;
          recorder.close();
          closeFd(reader);
        },
      };
    } catch (error) {
      child?.close();
      closeFd(reader);
      throw error;
    }
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.holder.close();
    closeFd(this.stdin);
  }
}

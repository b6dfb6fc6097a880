/**
 * A session with the real agent on this host, in a directory of its own: what tests of the objects in a guest work with.
 */

import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openGuest } from "../../../src/guest/session.ts";
import type { Guest, LaunchSpec, Machine } from "../../../src/lab/ports.ts";
import { after, monotonic, type Op, sleep, until } from "../../../src/sys/op.ts";
import { Reactor } from "../../../src/sys/reactor.ts";
import { LocalVmm } from "../../../src/vmm/local.ts";
import { bytes, SOON } from "./fake-agent.ts";

const BUILD = new URL("../../../build/", import.meta.url).pathname;
const SANITIZED = `${BUILD}agent-asan/provium-agent`;
/** The agent under the sanitizers where there is one; PROVIUM_TEST_AGENT names another. */
export const AGENT =
  process.env.PROVIUM_TEST_AGENT ?? (existsSync(SANITIZED) ? SANITIZED : `${BUILD}agent/provium-agent`);
const HELPER = `${BUILD}agent/provium-helper`;

export const AGENT_BUILT = existsSync(AGENT) && existsSync(HELPER);

export class LocalGuest {
  readonly reactor = new Reactor();
  readonly directory = mkdtempSync(join(tmpdir(), "provium-unit-"));
  readonly machine: Machine;
  readonly guest: Guest;

  constructor() {
    const vmm = new LocalVmm({ reactor: this.reactor, env: process.env, agent: AGENT, helper: HELPER });
    const spec: LaunchSpec = {
      name: "here",
      architecture: "x86_64",
      memoryBytes: 0,
      cpus: 1,
      cmdline: "",
      disks: [],
      qemuArgs: [],
      accel: "tcg",
      transport: "local",
      directory: this.directory,
    };
    this.machine = this.run(vmm.launch(spec));
    this.guest = this.run(openGuest(this.run(this.machine.connect(after(SOON))), after(SOON)));
  }

  run<T>(op: Op<T>): T {
    return this.reactor.run(op);
  }

  /** Turns the reactor until the condition holds; one that no descriptor announces is asked again and again. */
  wait(condition: () => boolean): void {
    const deadline = after(SOON);
    while (!this.run(until(condition, after(0)))) {
      if (monotonic() > deadline) throw new Error("the condition did not come about");
      this.run(sleep(2));
    }
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  at(name: string): Uint8Array {
    return bytes(this.path(name));
  }

  close(): void {
    this.guest.close();
    this.machine.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

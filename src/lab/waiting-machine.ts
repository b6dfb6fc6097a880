/**
 * A machine that waits to go on from a snapshot: started while something else runs.
 *
 * An emulator translates what a guest runs when it runs it first, and forgets it with its process: the first command
 * behind a restore takes ten times as long as the second. So there is a rehearsal: the guest goes on for a moment, its
 * agent, which stays at rest, runs a command that does nothing, and the machine is stopped again.
 */

import { InterruptedError, ProviumError } from "../errors/errors.ts";
import { after, Begun, NEVER, type Op } from "../sys/op.ts";
import { REHEARSAL } from "./guest-ports.ts";
import type { VmHost } from "./host.ts";
import type { Manifest } from "./manifest.ts";
import type { LaunchSpec, Machine } from "./ports.ts";

/** A quarter of a second of work, on a host that may have other things to do. */
const REHEARSAL_MS = 10_000;

export class WaitingMachine {
  private readonly start: Begun<Machine>;
  private readonly untend: () => void;
  private wanted = false;

  constructor(
    private readonly host: VmHost,
    readonly spec: LaunchSpec,
    private readonly saved: Pick<Manifest, "guest" | "session">,
    /** It will not be wanted at once, as far as anybody can tell. */
    private readonly lasting: boolean,
  ) {
    this.start = new Begun(this.ready());
    this.untend = host.tend(this.start);
  }

  /** The machine, which is whoever asks's from now on. Once only. */
  *take(): Op<Machine> {
    this.wanted = true;
    this.untend();
    return yield* this.start.finish();
  }

  /** Ends it unless it has been taken. Idempotent. */
  discard(): void {
    this.untend();
    if (this.wanted) return;
    this.wanted = true;
    this.start.abandon(new InterruptedError("nobody needs this machine any more"))?.close();
    this.host.discard(this.spec.directory);
  }

  private *ready(): Op<Machine> {
    const { host, spec } = this;
    const machine = yield* host.vmm.launch(spec, NEVER);
    if (!this.gains) return machine;
    let there = false;
    try {
      yield* this.rehearse(machine);
      there = true;
      return machine;
    } catch (error) {
      if (!(error instanceof ProviumError) || error instanceof InterruptedError) throw error;
    } finally {
      if (!there) machine.close();
    }
    // In whatever state it was saved: without a rehearsal it may do.
    return yield* host.vmm.launch(spec, NEVER);
  }

  /** There is time, what runs is translated, and the agent can. */
  private get gains(): boolean {
    const { accel, transport } = this.spec;
    return (
      this.lasting &&
      !this.wanted &&
      accel === "tcg" &&
      transport === "serial" &&
      this.saved.guest.features.includes(REHEARSAL)
    );
  }

  private *rehearse(machine: Machine): Op<void> {
    const deadline = after(REHEARSAL_MS);
    yield* machine.resume();
    const channel = yield* machine.connect(deadline);
    yield* this.host.rehearse(channel, this.saved.session, deadline);
    yield* machine.pause();
  }
}

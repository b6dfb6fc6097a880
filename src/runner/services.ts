/** What a file gets from the dispatcher: its share of the pool, boot artefacts, fixtures. */

import type { BootArtefacts, BootRequest, FixtureAnswer, FixtureRequest, Services } from "../lab/ports.ts";
import type { Op } from "../sys/op.ts";
import type { Link } from "./link.ts";
import type { Answer } from "./protocol.ts";

const grantOf = (answer: Answer): number => (answer as { grant: number }).grant;

export class DispatcherServices implements Services {
  constructor(private readonly link: Link) {}

  *draw(vm: string, memoryBytes: number, cpus: number): Op<{ release(): void }> {
    const giveBack = (answer: Answer): void => this.link.order({ what: "release", grant: grantOf(answer) });
    const answer = yield* this.link.ask({ what: "draw", vm, memoryBytes, cpus }, giveBack);
    let held = true;
    return {
      release: () => {
        if (held) giveBack(answer);
        held = false;
      },
    };
  }

  *claim(memoryBytes: number, cpus: number): Op<void> {
    // The dispatcher takes it back when the file ends, whether or not anybody still waits for the answer.
    yield* this.link.ask({ what: "claim", memoryBytes, cpus }, () => {});
  }

  *boot(request: BootRequest): Op<BootArtefacts> {
    return (yield* this.link.ask({ what: "boot", boot: request }, () => {})) as BootArtefacts;
  }

  *fixture(request: FixtureRequest): Op<FixtureAnswer> {
    const late = (answer: Answer): void => this.fixtureRestored((answer as FixtureAnswer).lease);
    return (yield* this.link.ask({ what: "fixture", fixture: request }, late)) as FixtureAnswer;
  }

  fixtureRestored(lease: number): void {
    this.link.order({ what: "restored", lease });
  }
}

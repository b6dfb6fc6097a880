/** `provium.reset_between_tests`: when the baseline is taken and gone back to. How: src/lab/baseline.ts. */

import { ApiError } from "../errors/errors.ts";
import { Baseline } from "../lab/baseline.ts";
import { describe } from "../lua/describe.ts";
import type { LuaValue } from "../lua/values.ts";
import type { Op } from "../sys/op.ts";
import type { Api } from "./context.ts";
import { openStreams } from "./snapshot.ts";

export class ResetBetweenTests {
  /** What the file has said. */
  wanted = false;
  private begun = false;
  private baseline: Baseline | undefined;

  constructor(
    private readonly api: Api,
    private readonly dialect: "classic" | "lab",
  ) {}

  assign(value: LuaValue): void {
    const wanted = value !== undefined && value !== false;
    if (wanted && value !== true)
      throw new ApiError(`provium.reset_between_tests is true or false, got ${describe(value)}`, {
        hint: "Tests that need no reset go into a file of their own.",
      });
    if (wanted && this.dialect === "classic")
      throw new ApiError(
        "provium.reset_between_tests has no place in a classic file: its tests run where they stand",
      );
    if (this.begun && wanted !== this.wanted)
      throw new ApiError(
        "provium.reset_between_tests is said at the top level of the file, before its tests run",
      );
    this.wanted = wanted;
  }

  /** The file's top level is over: what its lab holds now is what every test finds. */
  *begin(): Op<void> {
    this.begun = true;
    if (!this.wanted) return;
    const { scopes, snapshots } = this.api;
    const vms = scopes.file.lab.allVms(true);
    const live = openStreams(this.api, vms);
    if (live.length > 0)
      throw new ApiError(
        `provium.reset_between_tests would auto-snapshot a live stream of file \`${scopes.path}\`:\n${live.join("\n")}`,
        { hint: "Close the streams at the end of the top level, or open them inside the tests." },
      );
    this.baseline = yield* Baseline.take(vms, scopes.network, snapshots);
  }

  /** A test runs and another one follows: the machines for that one are started meanwhile. */
  prepare(): void {
    this.baseline?.prepare();
  }

  /** Puts the file's VMs back to where they stood when its tests began. */
  *restore(): Op<void> {
    if (this.baseline !== undefined) yield* this.baseline.restore();
  }

  /** Idempotent. */
  close(): void {
    this.baseline?.close();
    this.baseline = undefined;
  }
}

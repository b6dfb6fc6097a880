/** `provium.fixture`, `vm_fixture` and `lab_fixture`: machines that come out of the cache of fixtures. */

import type { FixtureReference } from "../fixture/scan.ts";
import type { Lab } from "../lab/lab.ts";
import type { FixtureAnswer } from "../lab/ports.ts";
import type { Vm } from "../lab/vm.ts";
import type { Args } from "../lua/args.ts";
import { fn, type NativeFunction } from "../lua/native.ts";
import type { Op } from "../sys/op.ts";
import type { Api } from "./context.ts";
import { RestoreError, restoreLab, restoreVm } from "./fixture-machines.ts";
import { VmHandle } from "./handles.ts";

/** Whose fixtures are asked for: the handle of a lab. */
export interface FixtureHome {
  readonly api: Api;
  readonly lab: Lab;
}

/** Has the fixture handed out until it can be restored; what is damaged is built anew, once. */
function* restored<T>(
  api: Api,
  reference: FixtureReference,
  kind: "vm" | "lab",
  restore: (answer: FixtureAnswer) => Op<T>,
): Op<T> {
  api.recorder?.fixture(reference);
  let failed: { readonly build: string; readonly reason: string } | undefined;
  for (;;) {
    const answer = yield* api.services.fixture({ ...reference, kind, failed });
    try {
      const value = yield* restore(answer);
      api.services.fixtureRestored(answer.lease);
      return value;
    } catch (error) {
      if (!(error instanceof RestoreError)) throw error;
      failed = { build: answer.build, reason: error.message };
    }
  }
}

/** `provium.fixture(name)`. */
export function* classicFixture(api: Api, name: string): Op<VmHandle> {
  const vm = yield* restored(api, { name, rule: "classic" }, "vm", (answer) =>
    restoreVm(api, undefined, name, answer),
  );
  return VmHandle.of(api, vm, "classic");
}

/** The functions of a lab, for a call with a dot or a colon. `handle` gives what Lua sees of a lab. */
export const fixtureFunctions = (
  home: FixtureHome,
  handle: (lab: Lab) => object,
): Readonly<Record<string, NativeFunction>> => {
  const path = (args: Args): string => args.behind(args.any(1) === home).text(1, "path");
  return {
    vm_fixture: fn(
      "vm_fixture",
      "(path: string): VM",
      "A VM that comes out of the fixture `<root>/<path>.fixture.lua`, booted, as a member of this lab. The fixture is built when it is not in the cache. Each call gives a VM of its own, which ends with the test or file that made it; the second is called `<path>#2`.",
      function* (args) {
        const { api, lab } = home;
        const name = path(args);
        const vm: Vm = yield* restored(api, { name, rule: "lab" }, "vm", (answer) =>
          restoreVm(api, lab, name, answer),
        );
        return VmHandle.of(api, vm, "lab");
      },
    ),
    lab_fixture: fn(
      "lab_fixture",
      "(path: string): lab",
      "The same for a fixture of several VMs: a new sub-lab with all of them running.",
      function* (args) {
        const { api, lab } = home;
        const name = path(args);
        return handle(
          yield* restored(api, { name, rule: "lab" }, "lab", (answer) => restoreLab(api, lab, answer)),
        );
      },
    ),
  };
};

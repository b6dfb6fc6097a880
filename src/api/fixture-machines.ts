/** The machines behind fixtures: from what a fixture's file returns to a snapshot, and from a snapshot back to machines. */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { ApiError, HostError, ProviumError } from "../errors/errors.ts";
import type { FixtureKind } from "../fixture/store.ts";
import type { Lab } from "../lab/lab.ts";
import type { FixtureAnswer } from "../lab/ports.ts";
import type { Vm } from "../lab/vm.ts";
import { describe } from "../lua/describe.ts";
import type { LuaValue } from "../lua/values.ts";
import { type Op, until } from "../sys/op.ts";
import type { Api } from "./context.ts";
import { VmHandle } from "./handles.ts";

/** The snapshot is damaged, or this host cannot use it. */
export class RestoreError extends ProviumError {}

export interface FixtureSnapshot {
  readonly kind: FixtureKind;
  /** Its directory. */
  readonly snapshot: string;
}

const decoder = new TextDecoder();

const wrong = (got: string): ApiError =>
  new ApiError(`a fixture returns a snapshot; this one returned ${got}`, {
    hint: "End it with `return vm:snapshot()`, with `return provium:snapshot()` for all its VMs, or with nothing when it has one VM that runs.",
  });

/** The snapshot that a fixture's results stand for: taken now where they name a VM. `staging`: where such a one goes. */
export function* fixtureResult(api: Api, values: readonly LuaValue[], staging: string): Op<FixtureSnapshot> {
  const [value] = values;
  if (values.length > 1) throw wrong(`${values.length} values`);
  if (value instanceof VmHandle) return yield* saved(value.vm, staging);
  if (value instanceof Uint8Array) return snapshotAt(decoder.decode(value));
  if (value !== undefined) throw wrong(describe(value));
  const running = api.scopes.vms().filter((vm) => vm.state === "booted" || vm.state === "paused");
  const [only, ...others] = running;
  if (only !== undefined && others.length === 0) return yield* saved(only, staging);
  throw wrong(
    only === undefined
      ? "nothing, and no VM runs"
      : `nothing, and several VMs run: ${running.map((vm) => vm.name).join(", ")}`,
  );
}

/** A path that `lab:snapshot(dir)` or a script of the test's own has made. */
const snapshotAt = (directory: string): FixtureSnapshot => {
  if (existsSync(join(directory, "lab.json"))) return { kind: "lab", snapshot: directory };
  if (existsSync(join(directory, "manifest.json"))) return { kind: "vm", snapshot: directory };
  throw wrong(`the path \`${directory}\`, where no snapshot is`);
};

function* none(): Op<never> {
  yield* until(() => true);
  throw new HostError("this version has no snapshots, and so no fixtures");
}

const saved = (_vm: Vm, _staging: string): Op<FixtureSnapshot> => none();

export const restoreVm = (_api: Api, _lab: Lab | undefined, _name: string, _answer: FixtureAnswer): Op<Vm> =>
  none();

export const restoreLab = (_api: Api, _lab: Lab, _name: string, _answer: FixtureAnswer): Op<Lab> => none();

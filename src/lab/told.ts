/** Operations in a guest as events. */

import { monotonic, type Op } from "../sys/op.ts";
import type { VmHost } from "./host.ts";

/** Runs an operation and says how long it took and what became of it. */
export function* told<T>(host: VmHost, vm: string, operation: string, op: Op<T>): Op<T> {
  const started = monotonic();
  let error: string | undefined;
  try {
    return yield* op;
  } catch (thrown) {
    error = thrown instanceof Error ? thrown.message : String(thrown);
    throw thrown;
  } finally {
    const duration = Math.round((monotonic() - started) * 1e6);
    const base = { file: host.file, vm_name: vm, operation, duration_ns: duration };
    host.emit("op", error === undefined ? base : { ...base, error });
  }
}

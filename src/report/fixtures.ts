/** What is said about fixtures while a run goes on. */

import type { ProviumEvent } from "../events/types.ts";
import { oneLine } from "./text.ts";

export type FixtureEvent = Extract<ProviumEvent, { kind: `fixture_${string}` }>;

const seconds = (ns: number): string => `${(ns / 1e9).toFixed(2)} s`;
const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

/** One line. */
export const fixtureLine = (event: FixtureEvent): string => {
  const what = `fixture ${oneLine(event.payload.path)}`;
  switch (event.kind) {
    case "fixture_build_started":
      return `${what} is being built`;
    case "fixture_build_done":
      return `${what} built in ${seconds(event.payload.duration_ns)} (${mebibytes(event.payload.snapshot_bytes)})`;
    case "fixture_build_failed":
      return `${what} failed after ${seconds(event.payload.duration_ns)}`;
    case "fixture_build_waiting":
      return `${what} is awaited; it is being built for ${oneLine(event.payload.held_by_file)}`;
    case "fixture_cache_hit":
      return `${what} restored from the cache`;
  }
};

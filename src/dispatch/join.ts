/**
 * Makes one stream of several recordings, as if it had been one run: what the shards of a run have saved. The joined
 * stream keeps every promise of a stream: what a recording that was cut off still owes is added, and files that ran
 * nowhere are said to be so.
 */

import { UsageError } from "../errors/errors.ts";
import { recorded } from "../events/recording.ts";
import { EVENT_PROTOCOL_VERSION } from "../events/stream.ts";
import type { EventKind, EventPayloads, ProviumEvent } from "../events/types.ts";
import { FileLedger } from "./ledger.ts";

type Of<K extends EventKind> = Extract<ProviumEvent, { kind: K }>;

/** What is known of one recording after it has been looked through. */
interface Part {
  readonly name: string;
  readonly first: Of<"stream_started">;
  run: Of<"run_started"> | undefined;
  readonly discovered: Map<string, Of<"file_discovered">>;
  /** Files that came to an end other than `not_run`. */
  readonly ran: Set<string>;
  end: Of<"run_completed"> | undefined;
  last: bigint;
}

/** Looks a recording through. Throws `UsageError` for one that this version cannot read. */
const survey = (name: string): Part => {
  let part: Part | undefined;
  for (const event of recorded(name)) {
    if (event.kind === "stream_started") {
      const version = event.payload.protocol_version;
      if (version > EVENT_PROTOCOL_VERSION)
        throw new UsageError(
          `${name} was recorded with version ${version} of the events; this provium reads up to ${EVENT_PROTOCOL_VERSION}`,
        );
      part = {
        name,
        first: event,
        run: undefined,
        discovered: new Map(),
        ran: new Set(),
        end: undefined,
        last: event.ts,
      };
    }
    if (part === undefined) throw new UsageError(`${name} does not begin with stream_started`);
    if (event.kind === "run_started") part.run = event;
    else if (event.kind === "file_discovered") part.discovered.set(event.payload.path, event);
    else if (
      event.kind === "file_dispatched" ||
      (event.kind === "file_completed" && event.payload.status !== "not_run")
    )
      part.ran.add(event.payload.path);
    else if (event.kind === "run_completed") part.end = event;
    part.last = event.ts;
  }
  if (part === undefined) throw new UsageError(`${name} is empty`);
  return part;
};

/** The part in which each file ran, or the first that knew of it. */
const owners = (parts: readonly Part[]): ReadonlyMap<string, Part> => {
  const found = new Map<string, Part>();
  for (const part of parts)
    for (const path of part.discovered.keys()) {
      const other = found.get(path);
      if (other?.ran.has(path) && part.ran.has(path))
        throw new UsageError(`${path} ran in ${other.name} and in ${part.name}`, {
          hint: "merge recordings of different shards, each once",
        });
      if (other === undefined || part.ran.has(path)) found.set(path, part);
    }
  return found;
};

/** Shards that a recording speaks of and that nobody has brought. */
const missingShards = (parts: readonly Part[]): string | undefined => {
  const shards = parts.flatMap(({ run }) => run?.payload.shard ?? []);
  const total = Math.max(0, ...shards.map((shard) => shard.total));
  const there = new Set(shards.map((shard) => shard.index));
  const missing = Array.from({ length: total }, (_, i) => i + 1).filter((index) => !there.has(index));
  return missing.length === 0 ? undefined : `of ${total} shards ${missing.join(", ")} are missing`;
};

const at = <K extends EventKind>(ts: bigint, kind: K, payload: EventPayloads[K]): ProviumEvent =>
  ({ ts, kind, payload }) as ProviumEvent;

/** The events of one part that belong to files of its own, and at its end what it owes. */
function* body(part: Part, isOwn: (path: string) => boolean): Generator<ProviumEvent, void> {
  const open = new Map<string, FileLedger>();
  // Fixtures are built for the run, not for one file.
  const builds = new FileLedger(part.name);
  for (const event of recorded(part.name)) {
    const { payload } = event;
    const path = "file" in payload ? payload.file : "path" in payload ? payload.path : undefined;
    if (event.kind === "stream_started" || event.kind === "run_started" || event.kind === "run_completed")
      continue;
    // Its figures are those of one machine among several.
    if (event.kind === "pool_state" || event.kind === "file_discovered") continue;
    if (path !== undefined && part.discovered.has(path) && !isOwn(path)) continue;
    if (event.kind === "file_dispatched") open.set(event.payload.path, new FileLedger(event.payload.path));
    else if (event.kind === "file_completed" || event.kind === "file_retried")
      open.delete(event.payload.path);
    else if (event.kind.startsWith("fixture_build_")) builds.admit(event);
    else if (path !== undefined) open.get(path)?.admit(event);
    yield event;
  }
  const reason = `the recording ${part.name} was cut off`;
  for (const { kind, payload } of builds.settle(reason))
    yield { ts: part.last, kind, payload } as ProviumEvent;
  for (const [path, ledger] of open) {
    for (const { kind, payload } of ledger.settle(reason))
      yield { ts: part.last, kind, payload } as ProviumEvent;
    yield at(part.last, "file_completed", { path, status: "crashed", duration_ns: 0, error: reason });
  }
}

/** Events of all parts by their time. Each part keeps its own order, also where a clock has jumped. */
function* byTime(parts: readonly Generator<ProviumEvent, void>[]): Generator<ProviumEvent, void> {
  const heads = parts.map((events) => ({ events, next: events.next() }));
  for (;;) {
    let earliest: (typeof heads)[number] | undefined;
    for (const head of heads)
      if (!head.next.done && (earliest?.next.done !== false || head.next.value.ts < earliest.next.value.ts))
        earliest = head;
    if (earliest === undefined || earliest.next.done) return;
    yield earliest.next.value;
    earliest.next = earliest.events.next();
  }
}

/** `run_started` for all: the first part's, without what holds for that part alone. */
const commonRun = (parts: readonly Part[]): Of<"run_started"> | undefined => {
  const run = parts.find((part) => part.run !== undefined)?.run;
  if (run === undefined) return undefined;
  const { shard: _shard, seed, ...rest } = run.payload;
  const same = parts.every((part) => part.run === undefined || part.run.payload.seed === seed);
  return { ...run, payload: { ...rest, ...(same && seed !== undefined ? { seed } : {}) } };
};

/**
 * The joined stream of recordings, read twice each. Throws `UsageError` when they do not fit together. Its
 * `run_completed` says `interrupted` also when a recording was cut off or a shard is missing.
 */
export function* joinRecordings(names: readonly string[]): Generator<ProviumEvent, void> {
  const parts = names.map(survey);
  const owner = owners(parts);
  const begin = parts.reduce(
    (least, { first }) => (first.ts < least ? first.ts : least),
    parts[0]?.first.ts ?? 0n,
  );
  const last = parts.reduce((most, part) => (part.last > most ? part.last : most), begin);
  const host = parts[0]?.first.payload.host_version ?? "";
  yield at(begin, "stream_started", { protocol_version: EVENT_PROTOCOL_VERSION, host_version: host });
  for (const [path, part] of owner) {
    const found = part.discovered.get(path) as Of<"file_discovered">;
    const seed = part.run?.payload.seed;
    yield { ...found, payload: { ...found.payload, ...(seed === undefined ? {} : { seed }) } };
  }
  const run = commonRun(parts);
  if (run !== undefined) yield run;
  const missing = missingShards(parts);
  if (missing !== undefined) yield at(begin, "notice", { level: "warning", text: missing });
  for (const part of parts)
    if (part.end === undefined)
      yield at(begin, "notice", {
        level: "warning",
        text: `${part.name} was cut off: it does not tell the end of its run`,
      });

  const told = new Set<string>();
  const ended = new Set<string>();
  for (const event of byTime(parts.map((part) => body(part, (path) => owner.get(path) === part)))) {
    if (event.kind === "notice") {
      if (told.has(event.payload.text)) continue;
      told.add(event.payload.text);
    }
    if (event.kind === "file_completed") ended.add(event.payload.path);
    yield event;
  }
  for (const path of owner.keys())
    if (!ended.has(path)) {
      const error = "the recording ended before its turn";
      yield at(last, "file_completed", { path, status: "not_run", duration_ns: 0, error });
    }
  const durations = parts.map((part) => part.end?.payload.duration_ns ?? Number(part.last - part.first.ts));
  yield at(last, "run_completed", {
    interrupted:
      missing !== undefined || parts.some(({ end }) => end === undefined || end.payload.interrupted),
    duration_ns: Math.max(...durations.map(Number)),
  });
}

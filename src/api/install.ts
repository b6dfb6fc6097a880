/** Puts the Lua API into a state: the one function that the runner calls. */

import { createHash } from "node:crypto";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Profile } from "../config/schema.ts";
import type { Emit } from "../events/types.ts";
import type { Recorder } from "../fixture/recorder.ts";
import type { NetworkHost } from "../lab/network-host.ts";
import type {
  OpenDisk,
  OpenGuest,
  Rehearse,
  ResumeGuest,
  Services,
  SnapshotFiles,
  Vmm,
} from "../lab/ports.ts";
import { Scopes } from "../lab/scopes.ts";
import { consoleText } from "../lab/session.ts";
import { LuaFunction } from "../lua/function.ts";
import { fn } from "../lua/native.ts";
import type { LuaState } from "../lua/state.ts";
import type { LuaTable } from "../lua/table.ts";
import type { LuaValue } from "../lua/values.ts";
import type { Op } from "../sys/op.ts";
import type { Reactor } from "../sys/reactor.ts";
import { Api, checkHostFile } from "./context.ts";
import { type FixtureSnapshot, fixtureResult } from "./fixture-machines.ts";
import { JSON_FUNCTIONS } from "./json.ts";
import { PRELUDE, PRELUDE_NAME } from "./prelude.ts";
import { Provium } from "./provium.ts";
import { ResetBetweenTests } from "./reset.ts";
import { EXEC_ASSERT_OK } from "./result.ts";
import "./impairments.ts";
import "./vm.ts";
import { parseWait, waitUntil } from "./waiting.ts";

/** The file that runs; a `Job` of the runner is one. Paths are absolute, `path` is the one shown to people. */
export interface TestFile {
  readonly file: string;
  readonly path: string;
  readonly dialect: "classic" | "lab";
  readonly project: string;
  readonly profiles: Readonly<Record<string, Profile>>;
  readonly accel: "kvm" | "tcg";
  readonly transport: "vsock" | "serial";
  /** Every operation in a guest becomes an event. */
  readonly operations?: boolean;
  /** This file's own directory below the run directory. */
  readonly directory: string;
  /** What the run draws from. */
  readonly seed?: bigint | number;
}

export interface ApiContext {
  readonly job: TestFile;
  readonly vmm: Vmm;
  readonly openGuest: OpenGuest;
  readonly openDisk: OpenDisk;
  readonly resumeGuest: ResumeGuest;
  readonly rehearse: Rehearse;
  readonly snapshots: SnapshotFiles;
  readonly services: Services;
  readonly network: Pick<NetworkHost, "openBackend" | "openUplink" | "openDhcp">;
  readonly emit: Emit;
  readonly reactor: Reactor;
  readonly state: LuaState;
  /** The file is a fixture to be built. */
  readonly recorder?: Recorder | undefined;
}

export interface Surface {
  /** Opens the scope of a test below that of the file. */
  enterTest(name: string): void;
  /** Closes it in reverse dependency order; the errors of failed releases. */
  leaveTest(): Op<readonly Error[]>;
  /** Closes everything that is left. */
  closeFile(): Op<readonly Error[]>;
  /** Ends every machine at once. */
  killAll(): void;
  /** The last 4 KiB of the console of each VM that runs or has died, labelled; "" without any. */
  consoleExcerpt(): string;
  readonly settings: { readonly timeoutMs: number | undefined };
  /** What happens to the file's VMs between its tests. */
  readonly reset: Pick<ResetBetweenTests, "begin" | "prepare" | "restore">;
  /** The snapshot that the results of a fixture's file stand for; taken below `staging` where it is not there yet. */
  fixtureResult(values: readonly LuaValue[], staging: string): Op<FixtureSnapshot>;
  /** Names of the profiles of its VMs. */
  profilesUsed(): readonly string[];
  /** `provium.timeout` was assigned. */
  onTimeoutSet(listener: (ms: number | undefined) => void): void;
}

/** Interval of the global `wait_until`. */
const POLL_MS = 100;
const EXCERPT_BYTES = 4096;

/** A name that is safe as a directory's. */
const directoryName = (vm: string): string =>
  vm
    .replace(/[^A-Za-z0-9._-]/g, "_")
    .replace(/^\.+/, "_")
    .slice(0, 64);

const seedOf = (what: string): bigint => createHash("sha256").update(what).digest().readBigUInt64LE();

export const installApi = (context: ApiContext): Surface => {
  const { job, state, recorder } = context;
  let directories = 0;
  const newDirectory = (name: string): string => {
    const path = join(job.directory, `${directoryName(name)}-${++directories}`);
    mkdirSync(path, { recursive: true, mode: 0o700 });
    return path;
  };
  const scopes = new Scopes(
    {
      vmm: context.vmm,
      openGuest: context.openGuest,
      openDisk: context.openDisk,
      resumeGuest: context.resumeGuest,
      rehearse: context.rehearse,
      tend: (tended) => context.reactor.tend(tended),
      snapshots: context.snapshots,
      services: context.services,
      emit: context.emit,
      operations: job.operations === true,
      settles: recorder !== undefined,
      file: job.path,
      accel: job.accel,
      transport: job.transport,
      directory: newDirectory,
      discard: (directory) => rmSync(directory, { recursive: true, force: true }),
      seed: (vm) => seedOf(`${job.seed ?? 0}:${job.path}:${vm}`),
      checkHostFile: (path, what) => {
        recorder?.reads(path);
        checkHostFile(path, what);
      },
    },
    job.profiles,
    context.network,
  );
  const execTable = state.load(PRELUDE, PRELUDE_NAME).call(EXEC_ASSERT_OK)[0];
  if (!(execTable instanceof LuaFunction)) throw new TypeError("the prelude returned no function");
  const api = new Api(
    scopes,
    state,
    context.snapshots,
    job.file,
    job.project,
    (fields) => execTable.call(fields)[0] as LuaTable,
    () => newDirectory("image"),
    context.services,
    recorder,
  );
  const reset = new ResetBetweenTests(api, job.dialect);
  const provium = new Provium(api, reset);
  state.setGlobal("provium", provium);
  state.setGlobal("json", JSON_FUNCTIONS);
  state.setGlobal(
    "wait_until",
    fn(
      "wait_until",
      "(predicate: function, opts?: {timeout?, interval?, desc?}): any",
      "Calls the predicate until it returns something true, and returns that. Defaults: 10 s, every 0.1 s.",
      function* (args) {
        return yield* waitUntil(parseWait(args, POLL_MS));
      },
    ),
  );
  return {
    enterTest: (name) => scopes.enterTest(name),
    leaveTest: () => scopes.leaveTest(),
    *closeFile() {
      reset.close();
      return yield* scopes.closeFile();
    },
    killAll() {
      reset.close();
      scopes.killAll();
    },
    reset,
    consoleExcerpt: () => excerpt(scopes),
    settings: {
      get timeoutMs() {
        return provium.timeoutMs;
      },
    },
    fixtureResult: (values, staging) => fixtureResult(api, values, staging),
    profilesUsed: () => [...new Set(scopes.vms().map((vm) => vm.profile.name))],
    onTimeoutSet: (listener) => provium.onTimeoutSet(listener),
  };
};

const excerpt = (scopes: Scopes): string =>
  scopes
    .vms()
    .filter((vm) => vm.state !== "created" && vm.state !== "shutdown")
    .flatMap((vm) => {
      const lines = consoleText(vm.console?.tail(EXCERPT_BYTES) ?? "");
      return lines.length === 0 ? [] : [`--- console of vm \`${vm.name}\` (${vm.state})`, ...lines];
    })
    .join("\n");

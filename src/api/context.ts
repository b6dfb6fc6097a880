/** What every Lua object of one test file needs: the scopes, the engine, and where relative paths start. */

import { accessSync, constants, statSync } from "node:fs";
import { dirname, isAbsolute, resolve } from "node:path";
import { ApiError } from "../errors/errors.ts";
import type { Recorder } from "../fixture/recorder.ts";
import type { Services, SnapshotFiles } from "../lab/ports.ts";
import type { Flavour } from "../lab/quantities.ts";
import type { Scopes } from "../lab/scopes.ts";
import type { NativeFunction } from "../lua/native.ts";
import type { LuaState } from "../lua/state.ts";
import type { LuaTable } from "../lua/table.ts";
import { framesOf } from "../lua/trace.ts";
import { packFunctions, standardCall } from "./pack-functions.ts";

export class Api {
  /** `pack` and `unpack`, the same functions in every lab. */
  readonly pack: Readonly<Record<string, NativeFunction>>;

  constructor(
    readonly scopes: Scopes,
    readonly state: LuaState,
    readonly snapshots: SnapshotFiles,
    /** The test file. */
    readonly file: string,
    /** Where classic relative paths start. */
    readonly project: string,
    /** Makes the table of an exec result. */
    readonly execTable: (fields: Record<string, unknown>) => LuaTable,
    /** Makes a directory for one image that a test makes of a disk, and returns its path. */
    readonly imageDirectory: () => string,
    readonly services: Services,
    /** The file is a fixture that is being built: what it uses is noted. */
    readonly recorder: Recorder | undefined,
  ) {
    const strings = state.table("string");
    const standard = (name: string) => standardCall(name, strings.func(name));
    this.pack = packFunctions({ pack: standard("pack"), unpack: standard("unpack") });
  }

  /** Directory of the Lua file whose code makes the running call. */
  callerDirectory(): string {
    const frame = framesOf(this.state.thread, 1).find(({ native, line }) => !native && line !== undefined);
    const path = frame?.file === undefined ? undefined : this.state.sources.get(frame.file);
    return dirname(path ?? this.file);
  }

  /** The line of the test file that makes the running call; of another Lua file when the test file is not involved. */
  callSite(): { readonly file: string; readonly line: number } | undefined {
    const frames = framesOf(this.state.thread, 0).filter(
      ({ native, file, line }) => !native && file !== undefined && line !== undefined,
    );
    const own = frames.find(({ file }) => this.state.sources.get(file as string) === this.file);
    const frame = own ?? frames[0];
    return frame && { file: frame.file as string, line: frame.line as number };
  }

  /** Absolute form of a host path: classic paths start at the project, lab paths at the calling file. */
  hostPath(path: string, flavour: Flavour): string {
    if (isAbsolute(path)) return path;
    return resolve(flavour === "classic" ? this.project : this.callerDirectory(), path);
  }
}

/** Throws ApiError unless `path` is a host file (not a directory) that can be read. `what` names it. */
export const checkHostFile = (path: string, what: string): void => {
  let problem: string | undefined;
  try {
    if (statSync(path).isDirectory()) problem = "is a directory";
    else accessSync(path, constants.R_OK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    problem = code === "ENOENT" ? "does not exist" : `cannot be read (${code})`;
  }
  if (problem !== undefined) throw new ApiError(`${what}: \`${path}\` ${problem}`);
};

/** From what ended a test to what the report says about it. */

import { InterruptedError, ProviumError } from "../errors/errors.ts";
import { renderError } from "../errors/render.ts";
import type { FailureDetail } from "../events/types.ts";
import { LuaError } from "../lua/errors.ts";
import type { LuaState } from "../lua/state.ts";
import { type Frame, sourceLine, traceback } from "../lua/trace.ts";
import { AssertionError } from "./assertion-error.ts";
import { boundedReason } from "./bounds.ts";
import { excerptOf } from "./excerpt.ts";

export interface Failure {
  readonly reason: string;
  readonly detail: FailureDetail;
}

const POSITION = /^(.+?):(\d+): /;

/** Where it happened: what the message itself says, else the innermost Lua frame with a line. */
const placeOf = (
  state: LuaState,
  message: string,
  frames: readonly Frame[],
): { file?: string; line?: number } => {
  const said = POSITION.exec(message);
  if (said !== null && state.sources.has(said[1] as string))
    return { file: said[1] as string, line: Number(said[2]) };
  const frame =
    frames.find(({ file, line }) => line !== undefined && state.sources.has(file ?? "")) ??
    frames.find(({ line }) => line !== undefined);
  return frame?.file === undefined ? {} : { file: frame.file, line: frame.line as number };
};

/** How Lua names what the failing line called: the frame below the one of that line. */
const calleeOf = (frames: readonly Frame[], file: string | undefined, line: number): string | undefined => {
  const at = frames.findIndex((frame) => frame.file === file && frame.line === line);
  return at <= 0 ? undefined : frames[at - 1]?.what;
};

/** A failure told by a message and by where Lua was. */
export const failureAt = (
  state: LuaState,
  message: string,
  frames: readonly Frame[],
  cause?: unknown,
): Failure => {
  const { file, line } = placeOf(state, message, frames);
  const path = file === undefined ? undefined : state.sources.get(file);
  const source = path === undefined || line === undefined ? undefined : sourceLine(path, line);
  const excerpt =
    path === undefined || line === undefined
      ? undefined
      : excerptOf(path, line, calleeOf(frames, file, line));
  const comparison = cause instanceof AssertionError ? cause.comparison?.() : undefined;
  const trace = traceback(frames);
  const hint = cause instanceof ProviumError ? cause.hint : undefined;
  return {
    reason: boundedReason(message),
    detail: {
      ...(file === undefined ? {} : { file }),
      ...(line === undefined ? {} : { line }),
      ...(source === undefined ? {} : { source }),
      ...(excerpt === undefined ? {} : { excerpt }),
      ...(comparison === undefined ? {} : { comparison }),
      ...(trace === "" ? {} : { traceback: `stack traceback:\n${trace}` }),
      ...(hint === undefined ? {} : { hint }),
    },
  };
};

/** The failure behind whatever a call into Lua threw. */
export const failureOf = (state: LuaState, error: unknown): Failure => {
  if (error instanceof LuaError) return failureAt(state, error.message, error.frames, error.cause);
  const frames = error instanceof InterruptedError ? state.interruptedAt : [];
  return failureAt(state, renderError(error), frames, error);
};

/** What to do now, unless the reason says it already: messages that come from Lua carry their hint with them. */
export const furtherHint = ({ reason, detail: { hint } }: Failure): string | undefined =>
  hint === undefined || reason.includes(hint) ? undefined : hint;

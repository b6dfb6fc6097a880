/** Where Lua is: the frames of a thread, as text for people and as data for reports. */

import { readFileSync } from "node:fs";
import { literal, lua, type Thread, toText } from "./engine.ts";

export interface Frame {
  /** Name of the chunk's file as shown to people; "=[C]" kinds have none. */
  readonly file: string | undefined;
  readonly line: number | undefined;
  /** How Lua names the function: "in function 'poll'", "in main chunk", … */
  readonly what: string;
  readonly native: boolean;
}

const INFO = literal("Slnt");
/** Frames kept at either end of a deep stack. */
const EACH_END = 12;

/** The file of a chunk name ("@file"), or the start of the text of a chunk loaded from a string. */
const fileOf = (source: Uint8Array): string | undefined => {
  const text = toText(source);
  if (text.startsWith("@")) return text.slice(1);
  if (text.startsWith("=")) return text.slice(1);
  const line = text.split("\n", 1)[0] as string;
  return `[string "${line.length < text.length || line.length > 40 ? `${line.slice(0, 40)}...` : line}"]`;
};

const quoted = (name: Uint8Array | null): string => `'${name === null ? "?" : toText(name)}'`;

/** The frames of `L` from `level` on, innermost first. At most the first and last dozen. */
export const framesOf = (L: Thread, level: number): Frame[] => {
  const frames: Frame[] = [];
  const record = new lua.lua_Debug();
  for (let at = level; lua.lua_getstack(L, at, record) === 1; at++) {
    lua.lua_getinfo(L, INFO, record);
    const native = toText(record.what) === "C";
    const named = record.namewhat.length > 0;
    const file = native ? undefined : fileOf(record.source);
    const line = record.currentline > 0 ? record.currentline : undefined;
    const what = named
      ? `in ${toText(record.namewhat)} ${quoted(record.name)}`
      : toText(record.what) === "main"
        ? "in main chunk"
        : native
          ? "in ?"
          : `in function <${file}:${record.linedefined}>`;
    frames.push({ file, line, what, native });
    if (record.istailcall)
      frames.push({ file: undefined, line: undefined, what: "(...tail calls...)", native: true });
  }
  if (frames.length <= 2 * EACH_END + 1) return frames;
  const left = frames.length - 2 * EACH_END;
  const gap = { file: undefined, line: undefined, what: `(...${left} more...)`, native: true };
  return [...frames.slice(0, EACH_END), gap, ...frames.slice(-EACH_END)];
};

/** One line a frame, without the frames of the harness itself at either end. */
export const traceback = (frames: readonly Frame[]): string => {
  const first = frames.findIndex((frame) => !frame.native);
  const last = frames.findLastIndex((frame) => !frame.native);
  if (first < 0) return "";
  return frames
    .slice(first, last + 1)
    .map((frame) =>
      frame.native && frame.file === undefined && frame.what.startsWith("(")
        ? `  ${frame.what}`
        : `  ${frame.file ?? "[host]"}:${frame.line === undefined ? "" : `${frame.line}:`} ${frame.what}`,
    )
    .join("\n");
};

/** "file:line: " of the Lua function at `level`, "" where there is none. */
export const positionAt = (L: Thread, level: number): string => {
  const record = new lua.lua_Debug();
  if (lua.lua_getstack(L, level, record) !== 1) return "";
  lua.lua_getinfo(L, INFO, record);
  return record.currentline > 0 ? `${fileOf(record.source)}:${record.currentline}: ` : "";
};

/** A line of a source file without its indentation; undefined when it cannot be read. `line` counts from 1. */
export const sourceLine = (path: string, line: number): string | undefined => {
  try {
    return readFileSync(path, "utf8").split("\n")[line - 1]?.trim();
  } catch {
    return undefined;
  }
};

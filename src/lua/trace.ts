/** Where Lua is: the frames of a thread, as text for people and as data for reports. */

import { readFileSync } from "node:fs";
import { type DebugRecord, literal, lua, type Thread, toText } from "./engine.ts";

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

/** How many levels the stack has. Asking for a level costs as much as it is deep, so few are asked for. */
const depthOf = (L: Thread): number => {
  const record = new lua.lua_Debug();
  const exists = (level: number): boolean => lua.lua_getstack(L, level, record) === 1;
  let none = 1;
  while (exists(none)) none *= 2;
  let last = none / 2;
  while (none - last > 1) {
    const middle = Math.floor((last + none) / 2);
    if (exists(middle)) last = middle;
    else none = middle;
  }
  return none;
};

/** How Lua's own tracebacks name a function. */
const nameOf = (record: DebugRecord, file: string | undefined): string => {
  const kind = toText(record.what);
  if (record.namewhat.length > 0) return `in ${toText(record.namewhat)} ${quoted(record.name)}`;
  if (kind === "main") return "in main chunk";
  return kind === "C" ? "in ?" : `in function <${file}:${record.linedefined}>`;
};

const aside = (what: string): Frame => ({ file: undefined, line: undefined, what, native: true });

/** The frames of `L` from `level` on, innermost first. Of a deep stack the first and last dozen. */
export const framesOf = (L: Thread, level: number): Frame[] => {
  const frames: Frame[] = [];
  const record = new lua.lua_Debug();
  const depth = depthOf(L);
  for (let at = level; at < depth; at++) {
    if (at === level + EACH_END && depth - at > EACH_END + 1) {
      frames.push(aside(`(...${depth - at - EACH_END} more...)`));
      at = depth - EACH_END;
    }
    if (lua.lua_getstack(L, at, record) !== 1) break;
    lua.lua_getinfo(L, INFO, record);
    const native = toText(record.what) === "C";
    const file = native ? undefined : fileOf(record.source);
    const line = record.currentline > 0 ? record.currentline : undefined;
    frames.push({ file, line, what: nameOf(record, file), native });
    if (record.istailcall) frames.push(aside("(...tail calls...)"));
  }
  return frames;
};

/** One line a frame, without the frames of the harness itself at either end. */
export const traceback = (frames: readonly Frame[]): string => {
  const first = frames.findIndex((frame) => !frame.native);
  const last = frames.findLastIndex((frame) => !frame.native);
  if (first < 0) return "";
  const lines = frames.slice(first, last + 1).map(frameText);
  return lines.filter((_line, i) => !(repeats(lines, i) && repeats(lines, i + 1))).join("\n");
};

/** Whether the line only repeats the two above it: of a long recursion its ends are enough. */
const repeats = (lines: readonly string[], i: number): boolean =>
  i >= 2 && lines[i] === lines[i - 1] && lines[i] === lines[i - 2];

const frameText = ({ native, file, line, what }: Frame): string =>
  native && what.startsWith("(")
    ? `  ${what}`
    : `  ${file ?? "[host]"}:${line === undefined ? "" : `${line}:`} ${what}`;

/** A line of a source file without its indentation; undefined when it cannot be read. `line` counts from 1. */
export const sourceLine = (path: string, line: number): string | undefined => {
  try {
    return readFileSync(path, "utf8").split("\n")[line - 1]?.trim();
  } catch {
    return undefined;
  }
};

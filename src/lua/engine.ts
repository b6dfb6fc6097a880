/**
 * fengari as the door sees it: the C API, typed, and the two ways between text and Lua's byte strings.
 * Nothing outside this folder imports fengari.
 */

import fengari, { type Thread } from "fengari";

export const { lua, lauxlib, lualib } = fengari;
export type { Anchor, Continuation, DebugRecord, NativeCode, Thread } from "fengari";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** UTF-8 bytes of a text. */
export const toBytes = (text: string): Uint8Array => encoder.encode(text);

/** Bytes as text for people and names; what is not UTF-8 becomes U+FFFD. */
export const toText = (bytes: Uint8Array): string => decoder.decode(bytes);

const names = new Map<string, Uint8Array>();

/** The bytes of a name that the code itself writes (field, global); made once. */
export const literal = (name: string): Uint8Array => {
  let bytes = names.get(name);
  if (bytes === undefined) {
    bytes = toBytes(name);
    names.set(name, bytes);
  }
  return bytes;
};

let memoryLimit = 0;

/**
 * Bounds what Lua values may take, in bytes; 0 for no bound. The bound is the process's, and setting it costs a
 * collection of the whole heap, so the next state keeps it when it asks for the same.
 */
export const limitMemory = (L: Thread, bytes: number): void => {
  if (bytes !== memoryLimit) lua.lua_setmemorylimit?.(L, bytes);
  memoryLimit = bytes;
};

/** What an abort leaves behind of a thread's state, when fengari does not restore it itself. */
const UNWOUND = ["ci", "nny", "nCcalls", "errorJmp", "errfunc", "allowhook", "status"] as const;

/** Remembers where a thread stands; the function puts it back there after an abort has passed. */
export const standing = (L: Thread): (() => void) => {
  const fields = L as unknown as Record<string, unknown>;
  const closing = fields.tbclist as unknown[];
  const pending = closing.length;
  const kept = UNWOUND.map((name) => fields[name]);
  const top = lua.lua_gettop(L);
  return () => {
    UNWOUND.forEach((name, i) => {
      fields[name] = kept[i];
    });
    closing.length = pending;
    (fields.ci as { next: unknown }).next = null;
    lua.lua_settop(L, top);
  };
};

/**
 * Pushes bytes as a Lua string without copying them: from now on nobody may change them. A Buffer (a subclass)
 * becomes a plain view of the same bytes.
 */
export const pushBytes = (L: Thread, bytes: Uint8Array): void => {
  const plain =
    bytes.constructor === Uint8Array
      ? bytes
      : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (lua.lua_pushbytes === undefined) lua.lua_pushstring(L, plain);
  else lua.lua_pushbytes(L, plain);
};

/** The arguments of one call of a binding: checked, converted, and named in errors. */

import { ApiError } from "../errors/errors.ts";
import { describe } from "./describe.ts";
import { lua, type Thread } from "./engine.ts";
import { LuaFunction } from "./function.ts";
import { LuaTable } from "./table.ts";
import type { Heap, LuaInteger, LuaValue } from "./values.ts";
import {
  wantBoolean,
  wantBytes,
  wantCount,
  wantInteger,
  wantNumber,
  wantObject,
  wantOneOf,
  wantRef,
  wantText,
} from "./want.ts";

const TYPE_NAMES: Readonly<Record<number, string>> = {
  [lua.LUA_TNIL]: "nil",
  [lua.LUA_TBOOLEAN]: "boolean",
  [lua.LUA_TLIGHTUSERDATA]: "userdata",
  [lua.LUA_TNUMBER]: "number",
  [lua.LUA_TSTRING]: "string",
  [lua.LUA_TTABLE]: "table",
  [lua.LUA_TFUNCTION]: "function",
  [lua.LUA_TUSERDATA]: "userdata",
  [lua.LUA_TTHREAD]: "thread",
};

/** The name of a Lua type number. */
export const typeName = (type: number): string => TYPE_NAMES[type] ?? "none";

/**
 * Arguments count from 1; a method's receiver is not among them. A reader raises
 * "bad argument #1 to 'run' (cmd: string expected, got nil)"; the `opt` forms give undefined for nil or nothing.
 * The arguments live on the Lua stack: read them before the first `yield` of an operation.
 */
export class Args {
  /** How many arguments there are. */
  readonly length: number;

  /** @param before stack slots below the first argument (1 for a method's receiver). */
  constructor(
    readonly heap: Heap,
    private readonly L: Thread,
    private readonly before: number,
    /** The function's name in errors. */
    readonly callee: string,
  ) {
    this.length = Math.max(0, lua.lua_gettop(L) - before);
  }

  /** The arguments of a function that works with a dot and with a colon: without the receiver, where there is one. */
  behind(receiver: boolean): Args {
    return receiver ? new Args(this.heap, this.L, this.before + 1, this.callee) : this;
  }

  /** The Lua type's name; "none" beyond the last argument. */
  type(i: number): string {
    return i > this.length ? "none" : typeName(lua.lua_type(this.L, this.before + i));
  }

  /** True when the argument is nil or absent. */
  absent(i: number): boolean {
    return i > this.length || lua.lua_type(this.L, this.before + i) === lua.LUA_TNIL;
  }

  /** The argument as it is. */
  any(i: number): LuaValue {
    return i > this.length ? undefined : this.heap.value(this.L, this.before + i);
  }

  /** The argument as messages say what was received. */
  described(i: number): string {
    return i > this.length ? "no value" : describe(this.any(i));
  }

  /** All arguments from `first` on. */
  rest(first: number): LuaValue[] {
    const values: LuaValue[] = [];
    for (let i = first; i <= this.length; i++) values.push(this.any(i));
    return values;
  }

  /** Raises "bad argument #i to 'name' (text)". */
  fail(i: number, text: string): never {
    throw new ApiError(`bad argument #${i} to '${this.callee}' (${text})`);
  }

  private refuse(i: number, name: string | undefined) {
    return (text: string): never => {
      const said = i > this.length ? text.replace(/got nil$/, "got no value") : text;
      return this.fail(i, name === undefined ? said : `${name}: ${said}`);
    };
  }

  text(i: number, name?: string): string {
    return wantText(this.any(i), this.refuse(i, name));
  }
  bytes(i: number, name?: string): Uint8Array {
    return wantBytes(this.any(i), this.refuse(i, name));
  }
  integer(i: number, name?: string): LuaInteger {
    return wantInteger(this.any(i), this.refuse(i, name));
  }
  /** A non-negative integer as a JS number. */
  count(i: number, name?: string): number {
    return wantCount(this.any(i), this.refuse(i, name));
  }
  number(i: number, name?: string): number {
    return wantNumber(this.any(i), this.refuse(i, name));
  }
  boolean(i: number, name?: string): boolean {
    return wantBoolean(this.any(i), this.refuse(i, name));
  }
  oneOf<T extends string>(i: number, allowed: readonly T[], name?: string): T {
    return wantOneOf(allowed, this.any(i), this.refuse(i, name));
  }
  /** A table; messages about its keys start with `name`. */
  table(i: number, name?: string): LuaTable {
    return wantRef(LuaTable, "table", this.any(i), this.refuse(i, name)).named(name ?? "table");
  }
  func(i: number, name?: string): LuaFunction {
    return wantRef(LuaFunction, "function", this.any(i), this.refuse(i, name));
  }
  /** An instance of a defined class; `expected` is what messages call it. */
  object<T extends object>(
    i: number,
    of: abstract new (...args: never[]) => T,
    expected: string,
    name?: string,
  ): T {
    return wantObject(of, expected, this.any(i), this.refuse(i, name));
  }
  /** Whether the argument is an instance of the class. */
  isObject(i: number, of: abstract new (...args: never[]) => object): boolean {
    return this.any(i) instanceof of;
  }

  optText(i: number, name?: string): string | undefined {
    return this.absent(i) ? undefined : this.text(i, name);
  }
  optBytes(i: number, name?: string): Uint8Array | undefined {
    return this.absent(i) ? undefined : this.bytes(i, name);
  }
  optInteger(i: number, name?: string): LuaInteger | undefined {
    return this.absent(i) ? undefined : this.integer(i, name);
  }
  optCount(i: number, name?: string): number | undefined {
    return this.absent(i) ? undefined : this.count(i, name);
  }
  optNumber(i: number, name?: string): number | undefined {
    return this.absent(i) ? undefined : this.number(i, name);
  }
  optBoolean(i: number, name?: string): boolean | undefined {
    return this.absent(i) ? undefined : this.boolean(i, name);
  }
  optOneOf<T extends string>(i: number, allowed: readonly T[], name?: string): T | undefined {
    return this.absent(i) ? undefined : this.oneOf(i, allowed, name);
  }
  optTable(i: number, name?: string): LuaTable | undefined {
    return this.absent(i) ? undefined : this.table(i, name);
  }
  optFunc(i: number, name?: string): LuaFunction | undefined {
    return this.absent(i) ? undefined : this.func(i, name);
  }
}

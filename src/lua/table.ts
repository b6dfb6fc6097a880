/** A Lua table held from JS, with the checked readers that options tables need. */

import { ApiError } from "../errors/errors.ts";
import { suggestion } from "../errors/suggest.ts";
import { describe } from "./describe.ts";
import { lua, toText } from "./engine.ts";
import { LuaFunction } from "./function.ts";
import { type LuaInteger, LuaRef, type LuaValue } from "./values.ts";
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

export type Key = string | number | LuaValue;

/**
 * Raw access (no metamethods), except `length`. The typed readers raise "opts.timeout: number expected, got …"
 * for a wrong type; their `opt` forms give undefined for nil. `label` is what messages call the table.
 */
export class LuaTable extends LuaRef {
  label = "table";

  /** The same table under the name that messages should use. */
  named(label: string): this {
    this.label = label;
    return this;
  }

  get(key: Key): LuaValue {
    const L = this.heap.thread;
    lua.lua_checkstack(L, 4);
    this.anchor(L);
    this.heap.push(L, key);
    lua.lua_rawget(L, -2);
    const value = this.heap.value(L, -1);
    lua.lua_pop(L, 2);
    return value;
  }

  set(key: Key, value: unknown): void {
    const L = this.heap.thread;
    lua.lua_checkstack(L, 6);
    this.anchor(L);
    this.heap.push(L, key);
    this.heap.push(L, value);
    lua.lua_rawset(L, -3);
    lua.lua_pop(L, 1);
  }

  has(key: Key): boolean {
    return this.get(key) !== undefined;
  }

  /** The border that `#` would give without metamethods. */
  get length(): number {
    const L = this.heap.thread;
    lua.lua_checkstack(L, 2);
    this.anchor(L);
    const length = lua.lua_rawlen(L, -1);
    lua.lua_pop(L, 1);
    return length;
  }

  /** Whether it has a metatable: then it may be more than a plain table. */
  get hasMetatable(): boolean {
    const L = this.heap.thread;
    lua.lua_checkstack(L, 3);
    this.anchor(L);
    const has = lua.lua_getmetatable(L, -1);
    lua.lua_pop(L, has ? 2 : 1);
    return has;
  }

  /** All pairs, in the order of `next`. */
  entries(): [key: LuaValue, value: LuaValue][] {
    const L = this.heap.thread;
    lua.lua_checkstack(L, 6);
    const pairs: [LuaValue, LuaValue][] = [];
    this.anchor(L);
    lua.lua_pushnil(L);
    while (lua.lua_next(L, -2) !== 0) {
      pairs.push([this.heap.value(L, -2), this.heap.value(L, -1)]);
      lua.lua_pop(L, 1);
    }
    lua.lua_pop(L, 1);
    return pairs;
  }

  /** The elements 1..n. */
  items(): LuaValue[] {
    return Array.from({ length: this.length }, (_, i) => this.get(i + 1));
  }

  /** The string keys that are present. */
  keys(): string[] {
    const decoder = new TextDecoder();
    return this.entries().flatMap(([key]) => (key instanceof Uint8Array ? [decoder.decode(key)] : []));
  }

  /** Raises for a key that is not among the known ones, with the nearest as a hint. `list`: elements may stand beside them. */
  only(known: readonly string[], list = false): void {
    for (const [key] of this.entries()) {
      if (key instanceof Uint8Array) {
        const name = toText(key);
        if (!known.includes(name))
          throw new ApiError(`${this.label}: unknown key '${name}'`, { hint: suggestion(name, known) });
      } else if (!list || typeof key !== "number")
        throw new ApiError(`${this.label}: unknown key [${typeof key === "number" ? key : describe(key)}]`, {
          hint: suggestion("", known),
        });
    }
  }

  /** How many elements a list has. Raises for one with a gap: what is behind it would be lost. */
  listLength(): number {
    const { length } = this;
    if (this.entries().some(([key]) => typeof key === "number" && (key < 1 || key > length)))
      this.fail(length + 1, "nil in a list, with elements behind it");
    return length;
  }

  /** Raises about one key of this table. */
  fail(key: string | number, text: string): never {
    throw new ApiError(`${this.label}${typeof key === "number" ? `[${key}]` : `.${key}`}: ${text}`);
  }

  private refuse(key: string | number) {
    return (text: string): never => this.fail(key, text);
  }

  text(key: string | number): string {
    return wantText(this.get(key), this.refuse(key));
  }
  bytes(key: string | number): Uint8Array {
    return wantBytes(this.get(key), this.refuse(key));
  }
  integer(key: string | number): LuaInteger {
    return wantInteger(this.get(key), this.refuse(key));
  }
  count(key: string | number): number {
    return wantCount(this.get(key), this.refuse(key));
  }
  number(key: string | number): number {
    return wantNumber(this.get(key), this.refuse(key));
  }
  boolean(key: string | number): boolean {
    return wantBoolean(this.get(key), this.refuse(key));
  }
  oneOf<T extends string>(key: string | number, allowed: readonly T[]): T {
    return wantOneOf(allowed, this.get(key), this.refuse(key));
  }
  /** A table below this one, named after its place. */
  table(key: string | number): LuaTable {
    const table = wantRef(LuaTable, "table", this.get(key), this.refuse(key));
    return table.named(`${this.label}${typeof key === "number" ? `[${key}]` : `.${key}`}`);
  }
  func(key: string | number): LuaFunction {
    return wantRef(LuaFunction, "function", this.get(key), this.refuse(key));
  }
  object<T extends object>(key: string | number, of: abstract new (...args: never[]) => T, name: string): T {
    return wantObject(of, name, this.get(key), this.refuse(key));
  }

  optText(key: string | number): string | undefined {
    return this.has(key) ? this.text(key) : undefined;
  }
  optBytes(key: string | number): Uint8Array | undefined {
    return this.has(key) ? this.bytes(key) : undefined;
  }
  optInteger(key: string | number): LuaInteger | undefined {
    return this.has(key) ? this.integer(key) : undefined;
  }
  optCount(key: string | number): number | undefined {
    return this.has(key) ? this.count(key) : undefined;
  }
  optNumber(key: string | number): number | undefined {
    return this.has(key) ? this.number(key) : undefined;
  }
  optBoolean(key: string | number): boolean | undefined {
    return this.has(key) ? this.boolean(key) : undefined;
  }
  optOneOf<T extends string>(key: string | number, allowed: readonly T[]): T | undefined {
    return this.has(key) ? this.oneOf(key, allowed) : undefined;
  }
  optTable(key: string | number): LuaTable | undefined {
    return this.has(key) ? this.table(key) : undefined;
  }
  optFunc(key: string | number): LuaFunction | undefined {
    return this.has(key) ? this.func(key) : undefined;
  }
}

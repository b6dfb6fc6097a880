/** From bindings as data (`native.ts`) to functions and metatables of one state. */

import { ApiError, InterruptedError } from "../errors/errors.ts";
import { called, type Op } from "../sys/op.ts";
import { Args } from "./args.ts";
import { describe } from "./describe.ts";
import { type Anchor, literal, lua, type NativeCode, type Thread, toText } from "./engine.ts";
import { LuaAbort } from "./errors.ts";
import { type ClassDefinition, classOf, type NativeFunction } from "./native.ts";
import { framesOf } from "./trace.ts";
import type { Heap } from "./values.ts";

/** What bindings need from the state. */
export interface BindingHost extends Heap {
  thread: Thread;
  /** Runs an operation: in place, or by yielding inside a task. Returns the count of pushed results. */
  drive(L: Thread, op: Op<unknown>): number;
  /** Pushes results and returns their count. */
  deliver(L: Thread, value: unknown): number;
}

const isOperation = (value: unknown): value is Op<unknown> =>
  typeof value === "object" &&
  value !== null &&
  typeof (value as { next?: unknown }).next === "function" &&
  typeof (value as { throw?: unknown }).throw === "function";

/** What an interrupted call was: "clock:sleep". */
const spoken = ({ name }: ClassDefinition<object>, key: string): string =>
  `${name.charAt(0).toLowerCase()}${name.slice(1)}:${key}`;

/** The error as it goes on into Lua: an interruption must not be caught there. */
export const leaving = (L: Thread, error: unknown): unknown =>
  error instanceof InterruptedError ? new LuaAbort(error, framesOf(L, 0)) : error;

export class Bindings {
  private readonly functions = new WeakMap<NativeFunction, Anchor>();
  private readonly metatables = new Map<ClassDefinition<object>, Anchor>();
  /** The userdata of each instance, as long as the instance lives. */
  private readonly objects = new WeakMap<object, Anchor>();

  constructor(private readonly host: BindingHost) {}

  pushFunction(L: Thread, definition: NativeFunction): void {
    const known = this.functions.get(definition);
    if (known !== undefined) {
      known(L);
      return;
    }
    lua.lua_pushcfunction(
      L,
      this.code(definition.name, (thread) =>
        definition.body(new Args(this.host, thread, 0, definition.name)),
      ),
    );
    this.functions.set(definition, lua.lua_toproxy(L, -1));
  }

  /** False when nobody has defined a class for the instance. */
  pushObject(L: Thread, instance: object): boolean {
    const known = this.objects.get(instance);
    if (known !== undefined) {
      known(L);
      return true;
    }
    const definition = classOf(instance);
    if (definition === undefined) return false;
    lua.lua_checkstack(L, 8);
    lua.lua_newuserdata(L, 0).instance = instance;
    this.pushMetatable(L, definition);
    lua.lua_setmetatable(L, -2);
    this.objects.set(instance, lua.lua_toproxy(L, -1));
    return true;
  }

  /** The Lua function that runs `body` and delivers what it returns. An operation that is interrupted tells its `name`. */
  private code(name: string, body: (L: Thread) => unknown): NativeCode {
    const host = this.host;
    return (L) => {
      const outer = host.thread;
      host.thread = L;
      try {
        const value = body(L);
        return isOperation(value) ? host.drive(L, called(value, name)) : host.deliver(L, value);
      } catch (error) {
        throw leaving(L, error);
      } finally {
        host.thread = outer;
      }
    };
  }

  private pushMetatable(L: Thread, definition: ClassDefinition<object>): void {
    const known = this.metatables.get(definition);
    if (known !== undefined) {
      known(L);
      return;
    }
    lua.lua_createtable(L, 0, 8);
    this.metatables.set(definition, lua.lua_toproxy(L, -1));
    const { name, get, set, equals, text, close, meta } = definition;
    lua.lua_createtable(L, 0, Object.keys(definition.methods).length);
    for (const [key, { body }] of Object.entries(definition.methods))
      this.field(L, definition, key, (thread) =>
        body(this.receiver(thread, definition, key), new Args(this.host, thread, 1, key)),
      );
    if (get === undefined) lua.lua_setfield(L, -2, literal("__index"));
    else {
      const methods = lua.lua_toproxy(L, -1);
      lua.lua_pop(L, 1);
      lua.lua_pushcfunction(L, this.lookup(definition, methods, get));
      lua.lua_setfield(L, -2, literal("__index"));
    }
    this.field(L, definition, "__newindex", (thread) => {
      const self = this.receiver(thread, definition, "__newindex");
      const key =
        lua.lua_type(thread, 2) === lua.LUA_TSTRING ? toText(lua.lua_tostring(thread, 2)!) : undefined;
      if (set === undefined || key === undefined)
        throw new ApiError(`cannot assign to a field of a ${name}${key === undefined ? "" : ` ('${key}')`}`);
      return set(self, key, new Args(this.host, thread, 2, key));
    });
    this.field(L, definition, "__tostring", (thread) => {
      const self = this.receiver(thread, definition, "__tostring");
      return text === undefined ? `${name}` : text(self);
    });
    if (equals !== undefined)
      this.field(L, definition, "__eq", (thread) => {
        const [a, b] = [this.instance(thread, 1), this.instance(thread, 2)];
        return a instanceof definition.of && b instanceof definition.of && equals(a, b);
      });
    if (close !== undefined)
      this.field(L, definition, "__close", (thread) => close(this.receiver(thread, definition, "__close")));
    for (const [key, body] of Object.entries(meta ?? {}))
      this.field(L, definition, key, (thread) =>
        body(this.receiver(thread, definition, key), new Args(this.host, thread, 1, key)),
      );
    this.host.push(L, name);
    lua.lua_setfield(L, -2, literal("__name"));
    this.host.push(L, false);
    lua.lua_setfield(L, -2, literal("__metatable"));
  }

  /** `object.key`: a method of that name, else what the class answers. */
  private lookup(
    definition: ClassDefinition<object>,
    methods: Anchor,
    get: (self: object, key: string) => unknown,
  ): NativeCode {
    const dynamic = this.code(spoken(definition, "__index"), (L) => {
      const key = lua.lua_tostring(L, 2) as Uint8Array;
      return get(this.receiver(L, definition, "__index"), toText(key));
    });
    return (L) => {
      if (lua.lua_type(L, 2) !== lua.LUA_TSTRING) return 0;
      methods(L);
      lua.lua_pushvalue(L, 2);
      if (lua.lua_rawget(L, -2) !== lua.LUA_TNIL) return 1;
      lua.lua_settop(L, 2);
      return dynamic(L);
    };
  }

  private field(
    L: Thread,
    definition: ClassDefinition<object>,
    key: string,
    body: (L: Thread) => unknown,
  ): void {
    lua.lua_pushcfunction(L, this.code(spoken(definition, key), body));
    lua.lua_setfield(L, -2, literal(key));
  }

  private instance(L: Thread, index: number): unknown {
    const data = lua.lua_type(L, index) === lua.LUA_TUSERDATA ? lua.lua_touserdata(L, index) : undefined;
    return typeof data === "object" && data !== null ? (data as { instance?: unknown }).instance : undefined;
  }

  /** The receiver of a method call; raises for anything that is no instance. */
  private receiver(L: Thread, definition: ClassDefinition<object>, key: string): object {
    const instance = this.instance(L, 1);
    if (instance instanceof definition.of) return instance;
    const value = lua.lua_gettop(L) === 0 ? undefined : this.host.value(L, 1);
    const got = lua.lua_gettop(L) === 0 ? "no value" : describe(value);
    throw new ApiError(`calling '${key}' on bad self (${definition.name} expected, got ${got})`, {
      hint: `call it with a colon: ${definition.name}:${key}(…)`,
    });
  }
}

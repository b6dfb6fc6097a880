/**
 * Bindings as data: what a function or class of ours is called, what it takes, what it says about itself.
 * Signature and text serve the type stubs and the manual; the body is what runs.
 *
 * A body returns a value (see `values.ts`; `results(...)` for several, undefined for none) or is a generator
 * function: an operation, which blocks the caller, or lets the other tasks run inside a task. It throws a
 * `ProviumError` for an expected failure; anything else it throws is reported as a bug of ours.
 */

import type { Args } from "./args.ts";
import { nameInstances } from "./names.ts";

export interface Method<T> {
  /** Lua types, as in "(cmd: string|string[], opts?: RunOptions): RunResult". */
  readonly signature: string;
  /** One or two sentences. */
  readonly doc: string;
  readonly body: (self: T, args: Args) => unknown;
}

export const method = <T>(signature: string, doc: string, body: Method<T>["body"]): Method<T> => ({
  signature,
  doc,
  body,
});

/** A function without receiver: a global or a field of a library table. */
export class NativeFunction {
  constructor(
    readonly name: string,
    readonly signature: string,
    readonly doc: string,
    readonly body: (args: Args) => unknown,
  ) {}
}

export const fn = (
  name: string,
  signature: string,
  doc: string,
  body: (args: Args) => unknown,
): NativeFunction => new NativeFunction(name, signature, doc, body);

export interface ClassDefinition<T extends object> {
  /** What messages and `tostring` call an instance. */
  readonly name: string;
  /** The JS class whose instances (and those of its subclasses) become this userdata. */
  readonly of: abstract new (
    ...args: never[]
  ) => T;
  readonly doc: string;
  readonly methods: Readonly<Record<string, Method<T>>>;
  /** Reads `object.key` where no method has that name. Undefined is nil. May be an operation. */
  readonly get?: (self: T, key: string) => unknown;
  /** Assigns `object.key`: the value is `args.any(1)`. Without it, assignments raise. */
  readonly set?: (self: T, key: string, args: Args) => unknown;
  /** Names that `get` answers, for stubs and for "did you mean" in errors. */
  readonly fields?: Readonly<Record<string, { readonly type: string; readonly doc: string }>>;
  readonly equals?: (a: T, b: T) => boolean;
  readonly text?: (self: T) => string;
  /** End of a `local x <close>`. May be an operation. */
  readonly close?: (self: T) => unknown;
  /** Other metamethods by name (`__call`, `__len`, `__pairs`, …); receiver first. */
  readonly meta?: Readonly<Record<string, (self: T, args: Args) => unknown>>;
}

const classes = new Map<unknown, ClassDefinition<object>>();

/** Declares a class. Once per JS class, when its module is loaded; instances may then be handed to any state. */
export const defineClass = <T extends object>(definition: ClassDefinition<T>): ClassDefinition<T> => {
  nameInstances(definition.of, definition.name);
  classes.set(definition.of.prototype, definition as unknown as ClassDefinition<object>);
  return definition;
};

/** The definition that an instance falls under. */
export const classOf = (instance: object): ClassDefinition<object> | undefined => {
  for (let at: unknown = Object.getPrototypeOf(instance); at !== null && at !== Object.prototype; ) {
    const found = classes.get(at);
    if (found !== undefined) return found;
    at = Object.getPrototypeOf(at);
  }
  return undefined;
};

/** Every class declared so far, for stubs and manual pages. */
export const definedClasses = (): readonly ClassDefinition<object>[] => [...classes.values()];

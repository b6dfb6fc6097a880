/**
 * How a line of Lua may go on. Names are looked up where that has no side effects: tables are read raw, objects of
 * ours answer by their definitions. A call in the line is not made; what it returns is told by its signature.
 */

import { LabHandle } from "../api/lab.ts";
import { Provium } from "../api/provium.ts";
import { type ClassDefinition, classOf, definedClasses, NativeFunction } from "../lua/native.ts";
import { own } from "../lua/own.ts";
import type { LuaState } from "../lua/state.ts";
import { LuaTable } from "../lua/table.ts";
import type { LuaValue } from "../lua/values.ts";
import { type Token, tokens } from "../source/tokens.ts";

const KEYWORDS =
  "and break do else elseif end false for function goto if in local nil not or repeat return then true until while".split(
    " ",
  );

/** What is known about a part of the line: a value, or only what class it is of. */
type Known =
  | { readonly value: LuaValue | NativeFunction }
  | { readonly of: ClassDefinition<object> }
  | undefined;

interface Step {
  readonly name: string;
  readonly called: boolean;
}

/** `a.b:c(1).d` before its last separator, from the left; undefined when the line ends in something else. */
const chainBefore = (line: readonly Token[]): Step[] | undefined => {
  const steps: Step[] = [];
  let at = line.length - 1;
  for (;;) {
    let called = false;
    if (line[at]?.text === ")") {
      for (let depth = 0; at >= 0; at--) {
        if (line[at]?.text === ")") depth++;
        if (line[at]?.text === "(" && --depth === 0) break;
      }
      at--;
      called = true;
    }
    const name = line[at];
    if (name?.kind !== "word" || KEYWORDS.includes(name.text)) return undefined;
    steps.unshift({ name: name.text, called });
    const before = line[at - 1]?.text;
    if (before !== "." && before !== ":") return steps;
    at -= 2;
  }
};

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;

const definitionOf = (known: NonNullable<Known>): ClassDefinition<object> | undefined =>
  "of" in known ? known.of : isObject(known.value) ? classOf(known.value) : undefined;

/** The class that a signature returns: "(name: string): VM" is that of `vm`. */
const returned = (signature: string): Known => {
  const name = /\): ([A-Za-z]+)$/.exec(signature)?.[1]?.toLowerCase();
  const found = definedClasses().find((one) => one.name.toLowerCase() === name);
  return found === undefined ? undefined : { of: found };
};

const isGenerator = (value: unknown): boolean =>
  isObject(value) && typeof (value as { next?: unknown }).next === "function";

/** `value.name` without side effects. */
const member = (state: LuaState, known: Known, { name, called }: Step): Known => {
  if (known === undefined) return undefined;
  const definition = definitionOf(known);
  if (definition !== undefined) {
    const method = own(definition.methods, name);
    if (method !== undefined) return called ? returned(method.signature) : undefined;
    if ("of" in known || definition.get === undefined) return undefined;
    const value = definition.get(known.value as object, name);
    return isGenerator(value) ? undefined : stepInto({ value: value as LuaValue }, called);
  }
  if (!("value" in known) || !(known.value instanceof LuaTable)) return undefined;
  return stepInto({ value: known.value.get(name) ?? inherited(state, known.value)?.get(name) }, called);
};

const stepInto = (known: { readonly value: LuaValue | NativeFunction }, called: boolean): Known => {
  if (!called) return known;
  return known.value instanceof NativeFunction ? returned(known.value.signature) : undefined;
};

const inherited = (state: LuaState, value: LuaValue): LuaTable | undefined => {
  const index = state.metatableOf(value)?.get("__index");
  return index instanceof LuaTable ? index : undefined;
};

/** The names behind a separator. */
const namesOf = (state: LuaState, known: Known): string[] => {
  if (known === undefined) return [];
  if ("value" in known) {
    const { value } = known;
    if (value instanceof Uint8Array) return state.table("string").keys();
    if (value instanceof LuaTable) return [...value.keys(), ...(inherited(state, value)?.keys() ?? [])];
  }
  const definition = definitionOf(known);
  if (definition === undefined) return [];
  const names = [...Object.keys(definition.methods), ...Object.keys(definition.fields ?? {})];
  if (!("value" in known)) return names;
  if (known.value instanceof Provium) return [...names, ...known.value.entries().keys()];
  if (known.value instanceof LabHandle)
    return [...names, ...known.value.lab.members().map(({ name }) => name)];
  return names;
};

const globals = (state: LuaState): string[] => state.table("_G").keys();

/** Words that the end of `line` may become, sorted, and what of them is typed already. */
export const completions = (
  state: LuaState,
  line: string,
): { readonly words: readonly string[]; readonly typed: string } => {
  const typed = /[A-Za-z_]\w*$/.exec(line)?.[0] ?? "";
  const before = tokens(line.slice(0, line.length - typed.length));
  const separator = before.at(-1)?.text;
  let names: string[];
  if (separator === "." || separator === ":") {
    const chain = chainBefore(before.slice(0, -1));
    const [root, ...others] = chain ?? [];
    let known: Known =
      root === undefined ? undefined : stepInto({ value: state.table("_G").get(root.name) }, root.called);
    for (const step of others) known = member(state, known, step);
    names = namesOf(state, known);
  } else names = typed === "" ? [] : [...KEYWORDS, ...globals(state)];
  const words = [...new Set(names)].filter((name) => name.startsWith(typed)).sort();
  return { words, typed };
};

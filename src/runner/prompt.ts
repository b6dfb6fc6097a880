/**
 * A Lua prompt: reads pieces of Lua, runs them, shows what they return. Tasks of earlier pieces go on while it
 * waits. A local lives as long as its piece, as in Lua's own program.
 */

import { LuaError } from "../lua/errors.ts";
import type { LuaFunction } from "../lua/function.ts";
import { classOf } from "../lua/native.ts";
import { pretty } from "../lua/pretty.ts";
import type { LuaState } from "../lua/state.ts";
import type { LuaValue } from "../lua/values.ts";
import { until } from "../sys/op.ts";
import type { Chunk } from "./chunk.ts";
import { completions } from "./complete.ts";
import { DeadlineError } from "./deadlines.ts";
import { failureOf, furtherHint } from "./failure.ts";
import type { Talk } from "./talk.ts";

/** What errors call the lines of the prompt. */
const NAME = "prompt";
const encoder = new TextEncoder();

const unfinished = (error: unknown): boolean =>
  error instanceof LuaError && /near '?<eof>'?$/.test(error.message);

const attempt = (state: LuaState, text: string): LuaFunction | unknown => {
  try {
    return state.load(text, NAME);
  } catch (error) {
    return error;
  }
};

/** An expression is shown, so it is tried first. */
const compile = (state: LuaState, text: string): LuaFunction | "more" => {
  const expression = attempt(state, `return ${text}`);
  if (!(expression instanceof Error)) return expression as LuaFunction;
  const statement = attempt(state, text);
  if (!(statement instanceof Error)) return statement as LuaFunction;
  if (unfinished(statement)) return "more";
  throw statement;
};

/** A value for people: tables in full, our objects with their fields. */
export const shown = (state: LuaState, value: LuaValue): string => {
  const text = (one: LuaValue): string => state.textOf(one);
  const definition = typeof value === "object" && value !== null ? classOf(value) : undefined;
  if (definition?.get === undefined || definition.fields === undefined) return pretty(value, text);
  const fields = Object.keys(definition.fields).flatMap((name) => {
    const field = definition.get?.(value as object, name);
    return typeof field === "function" || (field as { next?: unknown } | undefined)?.next !== undefined
      ? []
      : [`  ${name} = ${pretty(field as LuaValue, text).replaceAll("\n", "\n  ")}`];
  });
  return [`${text(value)}`, ...fields].join("\n");
};

export class Prompt {
  private hinted = false;

  constructor(
    private readonly chunk: Chunk,
    private readonly talk: Talk,
  ) {}

  /** Until the person leaves. Throws the order to end. */
  run(): void {
    const { state } = this.chunk;
    const { words } = this.talk;
    for (;;) {
      this.await(() => words.length > 0);
      const word = words.shift();
      if (word?.say === "bye") return;
      if (word?.say === "lua") this.take(word.text);
      else if (word?.say === "complete") this.talk.tell({ tell: "words", ...completions(state, word.text) });
    }
  }

  /** An interruption that comes when nothing runs any more has missed what it was meant for. */
  private await(ready: () => boolean): void {
    const { state, deadlines } = this.chunk;
    while (!ready()) {
      try {
        state.tasks.run(until(ready));
      } catch (error) {
        if (!(error instanceof DeadlineError && error.by === "test")) throw error;
        deadlines.cancelled = undefined;
      }
    }
  }

  private take(text: string): void {
    const { state, deadlines } = this.chunk;
    let failed = false;
    try {
      const body = compile(state, text);
      if (body === "more") {
        this.talk.tell({ tell: "more" });
        return;
      }
      const values = body.call();
      for (const value of values) this.say("out", shown(state, value));
      if (values.length === 0) this.explainLocals(text);
    } catch (error) {
      if (error instanceof DeadlineError && error.by !== "test") throw error;
      failed = true;
      this.complain(error);
    } finally {
      deadlines.cancelled = undefined;
    }
    this.talk.tell({ tell: "done", failed });
  }

  private complain(error: unknown): void {
    const failure = failureOf(this.chunk.state, error);
    const { reason, detail } = failure;
    const lines = [reason];
    // A position in the line just typed says nothing; the way through functions and files does.
    if (detail.traceback !== undefined && detail.traceback.split("\n").length > 2)
      lines.push(detail.traceback);
    const hint = furtherHint(failure);
    if (hint !== undefined) lines.push(`try: ${hint}`);
    this.say("err", lines.join("\n"));
  }

  private explainLocals(text: string): void {
    if (this.hinted || !/^\s*local\s/.test(text) || text.includes(";") || text.includes("\n")) return;
    this.hinted = true;
    this.say("err", "(a local ends with its line: leave `local` out to keep the value)");
  }

  private say(to: "out" | "err", text: string): void {
    this.talk.tell({ tell: "output", to, data: encoder.encode(`${text}\n`) });
  }
}

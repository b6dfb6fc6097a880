/** The prompt on a terminal: line editing, history, completion. Several lines make one piece of Lua. */

import { readFileSync } from "node:fs";
import { createInterface, type Interface } from "node:readline";
import type { EventStream } from "../events/stream.ts";
import { visible } from "../report/text.ts";
import type { Reply, Word } from "../runner/talk.ts";
import { writeWhole } from "../sys/whole-file.ts";
import type { Person } from "./errand.ts";

const FIRST = "> ";
const MORE = ">> ";
const LONGEST_HISTORY = 2000;

type Completed = (error: null, result: [string[], string]) => void;

const readHistory = (file: string): string[] => {
  try {
    return readFileSync(file, "utf8").split("\n").filter(Boolean).reverse();
  } catch {
    return [];
  }
};

export class TerminalPrompt implements Person {
  private lines: Interface | undefined;
  private answer: ((word: Word) => void) | undefined;
  private completed: Completed | undefined;
  /** What has been typed of a piece that is not complete. */
  private piece = "";
  /** A piece runs. */
  private busy = false;
  private readonly queue: string[] = [];
  private left = false;

  /** @param historyFile undefined: nothing is remembered. */
  constructor(
    private readonly greeting: (vm: string) => string,
    private readonly historyFile: string | undefined,
  ) {}

  meet(_stream: EventStream): void {}

  hear(reply: Reply, answer: (word: Word) => void): void {
    this.answer = answer;
    switch (reply.tell) {
      case "ready":
        process.stdout.write(`${this.greeting(reply.vm)}\n`);
        this.open();
        break;
      case "output":
        this.output(new TextDecoder().decode(reply.data));
        break;
      case "more":
      case "done":
        if (reply.tell === "done") this.piece = "";
        this.busy = false;
        this.lines?.setPrompt(reply.tell === "more" ? MORE : FIRST);
        this.next();
        break;
      case "words": {
        const completed = this.completed;
        this.completed = undefined;
        completed?.(null, [[...reply.words], reply.typed]);
        break;
      }
    }
  }

  output(text: string): void {
    const shown = visible(text);
    if (this.busy || this.lines === undefined) process.stdout.write(shown);
    else {
      // A background task prints while somebody types: the line being typed moves below it.
      process.stdout.write(`\r\u001b[K${shown}${shown.endsWith("\n") ? "" : "\n"}`);
      this.lines.prompt(true);
    }
  }

  leave(): void {
    this.left = true;
    this.lines?.close();
    this.completed?.(null, [[], ""]);
  }

  private open(): void {
    const lines = createInterface({
      input: process.stdin,
      output: process.stdout,
      terminal: true,
      history: this.historyFile === undefined ? [] : readHistory(this.historyFile),
      historySize: LONGEST_HISTORY,
      removeHistoryDuplicates: true,
      completer: (line: string, done: Completed) => this.complete(line, done),
    });
    this.lines = lines;
    lines.on("line", (line) => {
      this.queue.push(line);
      if (!this.busy) this.next();
    });
    lines.on("history", (history) => this.remember(history));
    lines.on("SIGINT", () => this.interrupted());
    lines.on("close", () => {
      this.lines = undefined;
      if (this.left) return;
      process.stdout.write("\n");
      this.answer?.({ say: "bye" });
    });
    lines.setPrompt(FIRST);
    lines.prompt();
  }

  /** The next line that was typed or pasted, or the prompt. */
  private next(): void {
    const line = this.queue.shift();
    if (line === undefined) {
      this.lines?.prompt();
      return;
    }
    if (this.piece === "" && line.trim() === "") {
      this.next();
      return;
    }
    if (this.piece === "" && /^(exit|quit)(\(\))?$/.test(line.trim())) {
      this.lines?.close();
      return;
    }
    this.piece = this.piece === "" ? line : `${this.piece}\n${line}`;
    this.busy = true;
    this.answer?.({ say: "lua", text: this.piece });
  }

  private interrupted(): void {
    if (this.busy) {
      this.answer?.({ say: "interrupt" });
      return;
    }
    const { lines } = this;
    if (lines === undefined) return;
    process.stdout.write(this.piece === "" && lines.line === "" ? "^C (Ctrl-D leaves)\n" : "^C\n");
    this.piece = "";
    // readline itself would keep what was typed.
    Object.assign(lines, { line: "", cursor: 0 });
    lines.setPrompt(FIRST);
    lines.prompt();
  }

  private complete(line: string, done: Completed): void {
    if (this.busy || this.completed !== undefined) {
      done(null, [[], line]);
      return;
    }
    this.completed = done;
    this.answer?.({ say: "complete", text: this.piece === "" ? line : `${this.piece}\n${line}` });
  }

  private remember(history: readonly string[]): void {
    if (this.historyFile === undefined) return;
    try {
      writeWhole(this.historyFile, `${[...history].reverse().join("\n")}\n`);
    } catch {
      // A prompt without a memory is still a prompt.
    }
  }
}

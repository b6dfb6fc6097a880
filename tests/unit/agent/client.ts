/**
 * A bare client for the agent's tests: spawns the agent with `--fd` and talks frames to it. It knows nothing of
 * the product's own client, so that a misunderstanding cannot hide in both.
 */

import { type ChildProcess, spawn } from "node:child_process";
import type { Duplex } from "node:stream";
import { Packr, Unpackr } from "msgpackr";
import { MESSAGES, type MessageName, type MessageSpec } from "../../../src/guest/messages.ts";

const BUILD = new URL("../../../build/", import.meta.url).pathname;
/** The agent that guests get, and the one under the sanitizers, which the tests use unless told otherwise. */
export const PLAIN_AGENT = `${BUILD}agent/provium-agent`;
export const AGENT = process.env.PROVIUM_TEST_AGENT ?? `${BUILD}agent-asan/provium-agent`;

const packr = new Packr({ useRecords: false, variableMapSize: true });
/** `auto`, a number where it is exact, is missing from the declared types. */
const unpackr = new Unpackr({ useRecords: false, int64AsType: "auto" as "number" });

export type Value = number | bigint | boolean | null | Uint8Array | readonly Value[];
export type Fields = Record<string, Value>;

export interface Frame {
  readonly kind: number;
  readonly actor: number;
  readonly id: number;
  readonly fields: Fields;
}

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
export const text = (value: Value | undefined): string => new TextDecoder().decode(value as Uint8Array);
export const number = (value: Value | undefined): number => Number(value);

const specs: Readonly<Record<MessageName, MessageSpec>> = MESSAGES;
const nameOf = new Map(Object.entries(specs).map(([name, spec]) => [spec.kind, name as MessageName]));

const wireValue = (value: Value): unknown => {
  if (typeof value === "number" && Number.isInteger(value) && Math.abs(value) > 0x7fffffff)
    return BigInt(value);
  if (Array.isArray(value)) return value.map(wireValue);
  return value;
};

/** A complete frame: length, kind, actor, id, payload. */
export function frameOf(kind: number, actor: number, id: number, payload: unknown): Uint8Array {
  const body = packr.pack([kind, actor, id, payload]);
  const frame = new Uint8Array(4 + body.length);
  new DataView(frame.buffer).setUint32(0, body.length);
  frame.set(body, 4);
  return frame;
}

export class AgentError extends Error {
  constructor(
    readonly errno: number,
    readonly operation: string,
    readonly reason: string,
  ) {
    super(`${operation}: ${reason} (errno ${errno})`);
  }
}

const named = (shape: Readonly<Record<string, string>>, values: readonly Value[]): Fields =>
  Object.fromEntries(Object.keys(shape).map((field, index) => [field, values[index] ?? null]));

interface Waiting {
  readonly name: MessageName;
  resolve(fields: Fields): void;
  reject(error: Error): void;
}

export interface Output {
  stdout: Uint8Array[];
  stderr: Uint8Array[];
  ended: Set<number>;
  exit: Fields | undefined;
}

export class AgentClient {
  readonly child: ChildProcess;
  readonly socket: Duplex;
  /** Frames that answer no request: READY, pushes, ERROR with id 0. */
  readonly pushed: Frame[] = [];
  readonly outputs = new Map<number, Output>();
  exitCode: number | string | undefined;
  closed = false;
  stderr = "";
  /** Credit is given back for output as it arrives. */
  autoCredit = true;
  #chunks: Uint8Array[] = [];
  #received = 0;
  #wanted = 4;
  #waiting = new Map<number, Waiting>();
  #watchers: (() => void)[] = [];
  #nextId = 1;
  #nextProcess = 1;

  /** `argv`: a program that speaks the agent's side on descriptor 3. */
  constructor(argv: readonly string[]) {
    this.child = spawn(argv[0]!, argv.slice(1), { stdio: ["ignore", "inherit", "pipe", "pipe"] });
    this.socket = this.child.stdio[3] as Duplex;
    this.child.stderr?.on("data", (chunk: Buffer) => {
      this.stderr += chunk.toString();
    });
    this.child.on("exit", (code, signal) => {
      this.exitCode = signal ?? code ?? -1;
      this.#changed();
    });
    this.socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    this.socket.on("close", () => this.#end());
    this.socket.on("error", () => this.#end());
  }

  #end(): void {
    this.closed = true;
    for (const waiting of this.#waiting.values())
      waiting.reject(new Error(`the agent ended the session\n${this.stderr}`));
    this.#waiting.clear();
    this.#changed();
  }

  #changed(): void {
    const watchers = this.#watchers;
    this.#watchers = [];
    for (const watcher of watchers) watcher();
  }

  /** Resolves when `condition` holds; it is asked again after each thing that happens. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#watchers.push(resolve));
  }

  /** Raw bytes are seen here first; a test of the serial port looks for the preamble. */
  onBytes: ((chunk: Uint8Array) => Uint8Array) | undefined;

  #receive(chunk: Uint8Array): void {
    const seen = this.onBytes === undefined ? chunk : this.onBytes(chunk);
    this.#chunks.push(seen);
    this.#received += seen.length;
    if (this.#received >= this.#wanted) this.#split();
    this.#changed();
  }

  #split(): void {
    const joined = Buffer.concat(this.#chunks);
    let at = 0;
    this.#wanted = 4;
    while (joined.length - at >= 4) {
      this.#wanted = 4 + joined.readUInt32BE(at);
      if (joined.length - at < this.#wanted) break;
      const [kind, actor, id, payload] = unpackr.unpack(joined.subarray(at + 4, at + this.#wanted));
      at += this.#wanted;
      this.#wanted = 4;
      this.#frame(kind, actor, id, payload);
    }
    this.#chunks = [joined.subarray(at)];
    this.#received = joined.length - at;
  }

  #frame(kind: number, actor: number, id: number, payload: Value[]): void {
    const name = nameOf.get(kind);
    if (name === undefined) throw new Error(`frame of unknown kind ${kind}`);
    const waiting = this.#waiting.get(id);
    if (waiting !== undefined) {
      this.#waiting.delete(id);
      const fields = named(specs[name].fields, payload);
      if (name === "ERROR") {
        waiting.reject(new AgentError(number(fields.errno), text(fields.operation), text(fields.message)));
      } else if (name === "READY") waiting.resolve(fields);
      else waiting.resolve(named(specs[waiting.name].reply ?? {}, payload));
      return;
    }
    const frame = { kind, actor, id, fields: named(specs[name].fields, payload) };
    if (name === "DATA" || name === "EXIT") this.#output(name, frame.fields);
    else this.pushed.push(frame);
  }

  outputOf(process: number): Output {
    const output = this.outputs.get(process) ?? { stdout: [], stderr: [], ended: new Set(), exit: undefined };
    this.outputs.set(process, output);
    return output;
  }

  #output(name: "DATA" | "EXIT", fields: Fields): void {
    const process = number(fields.process);
    const output = this.outputOf(process);
    if (name === "EXIT") {
      output.exit = fields;
      return;
    }
    const stream = number(fields.stream);
    const data = fields.data as Uint8Array;
    (stream === 1 ? output.stdout : output.stderr).push(data.slice());
    if (fields.eof === true) output.ended.add(stream);
    else if (this.autoCredit) this.tell("CREDIT", { process, stream, bytes: data.length });
  }

  /** Resolves when the agent has no command any more: one that was killed counts until it is reaped. */
  async commandsForgotten(): Promise<void> {
    while (number((await this.call("STATE")).processes) > 0);
  }

  write(frame: Uint8Array): void {
    this.socket.write(frame);
  }

  #actorOf(name: MessageName): number {
    return specs[name].served === "task" ? 1 : 0;
  }

  #encode(name: MessageName, id: number, fields: Fields): Uint8Array {
    const payload = Object.keys(specs[name].fields).map((field) => {
      if (!(field in fields)) throw new Error(`${name} needs ${field}`);
      return wireValue(fields[field]!);
    });
    return frameOf(specs[name].kind, this.#actorOf(name), id, payload);
  }

  /** A message without an answer. */
  tell(name: MessageName, fields: Fields, id = 0): void {
    this.write(this.#encode(name, id, fields));
  }

  /** A request and its id, so that it can be cancelled. */
  ask(name: MessageName, fields: Fields): { id: number; answer: Promise<Fields> } {
    const id = this.#nextId++;
    const answer = new Promise<Fields>((resolve, reject) => this.#waiting.set(id, { name, resolve, reject }));
    this.write(this.#encode(name, id, fields));
    return { id, answer };
  }

  call(name: MessageName, fields: Fields = {}): Promise<Fields> {
    return this.ask(name, fields).answer;
  }

  /** The error that a request is answered with. */
  async refused(name: MessageName, fields: Fields): Promise<AgentError> {
    try {
      await this.call(name, fields);
    } catch (error) {
      if (error instanceof AgentError) return error;
      throw error;
    }
    throw new Error(`${name} was answered with OK`);
  }

  /** Starts a command and returns its handle. */
  async start(argv: readonly string[], options: Fields = {}): Promise<number> {
    const process = number(options.process ?? this.#nextProcess++);
    this.outputOf(process);
    await this.call("PROC_START", {
      process,
      argv: argv.map(bytes),
      env: [],
      env_clear: false,
      cwd: null,
      stdin: null,
      stdin_open: false,
      timeout_ms: 0,
      window: 1024 * 1024,
      ...options,
    });
    return process;
  }

  async finished(process: number): Promise<{ stdout: string; stderr: string; exit: Fields }> {
    const output = this.outputOf(process);
    await this.until(() => this.closed || (output.exit !== undefined && output.ended.size === 2));
    return {
      stdout: Buffer.concat(output.stdout).toString("latin1"),
      stderr: Buffer.concat(output.stderr).toString("latin1"),
      exit: output.exit ?? {},
    };
  }

  async run(argv: readonly string[], options: Fields = {}) {
    return this.finished(await this.start(argv, options));
  }

  syscall(
    nr: number,
    args: Value[] = [],
    bufs: Uint8Array[] = [],
    ptrs: number[] = [],
    nested: number[] = [],
  ) {
    return this.call("SYSCALL", { nr, args, bufs, ptrs, nested });
  }

  async ready(): Promise<Fields> {
    const isReady = (frame: Frame) => frame.kind === MESSAGES.READY.kind;
    await this.until(() => this.closed || this.pushed.some(isReady));
    const frame = this.pushed.find(isReady);
    if (frame === undefined) throw new Error(`no READY\n${this.stderr}`);
    return frame.fields;
  }

  async close(): Promise<void> {
    this.socket.destroy();
    await this.until(() => this.exitCode !== undefined);
  }
}

/** Connects, runs `body`, closes, and fails when the agent did not end cleanly: the sanitizers speak that way. */
export async function withAgent(
  body: (agent: AgentClient) => Promise<void>,
  option = "--fd",
  binary = AGENT,
): Promise<void> {
  const agent = new AgentClient([binary, option, "3"]);
  try {
    await body(agent);
  } finally {
    await agent.close();
  }
  if (agent.exitCode !== 0) throw new Error(`the agent ended with ${agent.exitCode}\n${agent.stderr}`);
}

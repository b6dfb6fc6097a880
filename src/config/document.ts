/**
 * A TOML file with the positions of its keys, so that a wrong value can be named by file and line.
 *
 * The parser gives positions for syntax errors only; where a key stands is found by a scan of table headers and
 * assignments that skips what is inside multi-line strings.
 */

import toml from "@iarna/toml";
import { ConfigError } from "../errors/errors.ts";
import { suggestion } from "../errors/suggest.ts";
import { DURATION_FORMS, parseDuration, parseSize, SIZE_FORMS } from "./units.ts";

type Table = Readonly<Record<string, unknown>>;

const isTable = (value: unknown): value is Table =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);

/** Names a value in an error: `"x"`, `5`, `an array`. */
const shown = (value: unknown): string => {
  if (typeof value === "string") return JSON.stringify(value);
  if (Array.isArray(value)) return "an array";
  if (value instanceof Date) return "a date";
  return typeof value === "object" ? "a table" : String(value);
};

/** The words of a dotted key: `profiles."my guest".kernel` has three. */
const words = (dotted: string): string[] =>
  [...dotted.matchAll(/"((?:[^"\\]|\\.)*)"|'([^']*)'|([^.\s"']+)/g)].map(
    (match) => match[1] ?? match[2] ?? match[3] ?? "",
  );

const joined = (path: readonly string[]): string => path.join("\0");

/** Line of each table header and each assignment, by path. */
const scanLines = (text: string): ReadonlyMap<string, number> => {
  const lines = new Map<string, number>();
  let table: string[] = [];
  let fence: string | undefined;
  for (const [index, line] of text.split("\n").entries()) {
    if (fence !== undefined) {
      if (line.includes(fence)) fence = undefined;
      continue;
    }
    const header = /^\s*\[\[?([^\]]+)\]\]?/.exec(line);
    const assignment =
      /^\s*((?:"(?:[^"\\]|\\.)*"|'[^']*'|[\w-]+)(?:\s*\.\s*(?:"[^"]*"|'[^']*'|[\w-]+))*)\s*=/.exec(line);
    const path = header
      ? words(header[1] as string)
      : assignment
        ? [...table, ...words(assignment[1] as string)]
        : [];
    if (header) table = path;
    for (let depth = 1; depth <= path.length; depth++) {
      const key = joined(path.slice(0, depth));
      if (!lines.has(key)) lines.set(key, index + 1);
    }
    const opened = /"""|'''/.exec(line);
    if (opened && !line.slice(opened.index + 3).includes(opened[0])) fence = opened[0];
  }
  return lines;
};

export class TomlDocument {
  readonly warnings: string[] = [];
  readonly root: Section;
  private readonly lines: ReadonlyMap<string, number>;

  /** Throws `ConfigError` with file, line and column for malformed TOML. */
  constructor(
    readonly file: string,
    text: string,
  ) {
    // Some editors begin a file with a byte order mark, of which TOML knows nothing.
    const source = text.replace(/^\ufeff/, "");
    this.lines = scanLines(source);
    this.root = new Section(this, [], this.parse(source));
  }

  /** `file:line` of a key; of one in an inline table, or one that is missing, the line of what should hold it. */
  at(path: readonly string[]): string {
    for (let depth = path.length; depth > 0; depth--) {
      const line = this.lines.get(joined(path.slice(0, depth)));
      if (line !== undefined) return `${this.file}:${line}`;
    }
    return this.file;
  }

  /** The error for a value that parses and is wrong all the same. */
  invalid(path: readonly string[], message: string, hint?: string): ConfigError {
    return new ConfigError(`invalid config in \`${this.file}\`: ${message}`, { where: this.at(path), hint });
  }

  private parse(text: string): Table {
    try {
      return toml.parse(text) as Table;
    } catch (cause) {
      const { line, col } = cause as { line?: number; col?: number };
      const what = String((cause as Error).message).split(/ at row \d+/)[0];
      if (line === undefined || col === undefined)
        throw new ConfigError(`parse \`${this.file}\`: ${what}`, { where: this.file });
      // The parser reports where it gave up: after the line break that ended a line too early.
      const source = text.split("\n")[line] ?? "";
      throw new ConfigError(`parse \`${this.file}\`: ${what}`, {
        where: `${this.file}:${line + 1}:${col + 1}${source.trim() === "" ? "" : `: ${source.trim()}`}`,
      });
    }
  }
}

/** One table of a document, read key by key. Keys that nobody asked for become warnings. */
export class Section {
  private readonly asked = new Set<string>();

  constructor(
    private readonly document: TomlDocument,
    readonly path: readonly string[],
    private readonly table: Table,
  ) {}

  get keys(): readonly string[] {
    return Object.keys(this.table);
  }

  has(key: string): boolean {
    return Object.hasOwn(this.table, key);
  }

  /** The value as it stands there, of whatever type. */
  peek(key: string): unknown {
    return this.has(key) ? this.table[key] : undefined;
  }

  /** The error for a wrong value of `key`. */
  invalid(key: string, message: string, hint?: string): ConfigError {
    return this.document.invalid([...this.path, key], message, hint);
  }

  /** The table under `key`; empty when there is none. */
  section(key: string): Section {
    const value = this.take(key) ?? {};
    if (!isTable(value)) throw this.wrong(key, "a table", value);
    return new Section(this.document, [...this.path, key], value);
  }

  text(key: string): string | undefined {
    const value = this.take(key);
    if (value !== undefined && typeof value !== "string") throw this.wrong(key, "a string", value);
    return value;
  }

  oneOf<const T extends string>(key: string, allowed: readonly T[]): T | undefined {
    const value = this.take(key);
    if (value === undefined) return undefined;
    if (!allowed.includes(value as T))
      throw this.wrong(key, allowed.map((word) => `"${word}"`).join(" or "), value);
    return value as T;
  }

  boolean(key: string): boolean | undefined {
    const value = this.take(key);
    if (value !== undefined && typeof value !== "boolean") throw this.wrong(key, "true or false", value);
    return value;
  }

  /** A whole number, at least `least`. */
  count(key: string, least: number): number | undefined {
    const value = this.take(key);
    if (value === undefined) return undefined;
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < least)
      throw this.wrong(key, `a whole number of at least ${least}`, value);
    return value;
  }

  /** A number between `least` and `greatest`, both included. */
  number(key: string, least: number, greatest: number): number | undefined {
    const value = this.take(key);
    if (value === undefined) return undefined;
    if (typeof value !== "number" || !(value >= least && value <= greatest))
      throw this.wrong(key, `a number from ${least} to ${greatest}`, value);
    return value;
  }

  texts(key: string): readonly string[] | undefined {
    const value = this.take(key);
    if (value === undefined) return undefined;
    if (!Array.isArray(value) || value.some((item) => typeof item !== "string"))
      throw this.wrong(key, "an array of strings", value);
    return value as readonly string[];
  }

  /** Bytes. */
  size(key: string): number | undefined {
    const value = this.take(key);
    if (value === undefined) return undefined;
    const bytes = parseSize(value);
    if (bytes === undefined) throw this.wrong(key, SIZE_FORMS, value);
    return bytes;
  }

  /** Milliseconds. */
  duration(key: string): number | undefined {
    const value = this.take(key);
    if (value === undefined) return undefined;
    const ms = parseDuration(value);
    if (ms === undefined) throw this.wrong(key, DURATION_FORMS, value);
    return ms;
  }

  /** Warns about every key that was not read. */
  finish(): void {
    for (const key of this.keys) {
      if (this.asked.has(key)) continue;
      const place = this.path.length === 0 ? "at the top level" : `in [${this.path.join(".")}]`;
      this.document.warnings.push(
        `${this.document.at([...this.path, key])}: unknown key \`${key}\` ${place} (${suggestion(key, this.asked)})`,
      );
    }
  }

  private take(key: string): unknown {
    this.asked.add(key);
    return Object.hasOwn(this.table, key) ? this.table[key] : undefined;
  }

  private wrong(key: string, wanted: string, got: unknown): ConfigError {
    return this.invalid(key, `\`${[...this.path, key].join(".")}\` must be ${wanted}; it is ${shown(got)}`);
  }
}

/**
 * The words and symbols of a Lua text without comments; strings become placeholders. For looking at a file
 * without running it, so it never fails: what it cannot read it skips.
 */

export interface Token {
  readonly kind: "word" | "string" | "number" | "symbol";
  /** The word or symbol; the content of a string where it is short and plain, else "". */
  readonly text: string;
}

const SPACE = /\s+/y;
const WORD = /[A-Za-z_][A-Za-z0-9_]*/y;
const NUMBER = /0[xX][0-9a-fA-F.]*(?:[pP][+-]?\d+)?|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?/y;
const LONG_BRACKET = /\[(=*)\[/y;
const SYMBOL = /\.\.\.|\.\.|==|~=|<=|>=|<<|>>|\/\/|::|[\s\S]/y;

const match = (pattern: RegExp, source: string, at: number): RegExpExecArray | null => {
  pattern.lastIndex = at;
  return pattern.exec(source);
};

/** The end of a long bracket that opens at `at`, and where its text begins; undefined when none opens there. */
const longBracket = (source: string, at: number): { from: number; to: number; end: number } | undefined => {
  const open = match(LONG_BRACKET, source, at);
  if (open === null) return undefined;
  const close = `]${open[1]}]`;
  const from = at + open[0].length;
  const to = source.indexOf(close, from);
  return to < 0 ? { from, to: source.length, end: source.length } : { from, to, end: to + close.length };
};

/** The index behind a quoted string that opens at `at`. An unfinished one ends with its line. */
const quotedEnd = (source: string, at: number): number => {
  const quote = source[at];
  for (let i = at + 1; i < source.length; i++) {
    if (source[i] === "\\") i++;
    else if (source[i] === quote) return i + 1;
    else if (source[i] === "\n") return i;
  }
  return source.length;
};

export const tokens = (source: string): readonly Token[] => {
  const found: Token[] = [];
  let at = /^\ufeff?#/.test(source) ? Math.max(0, source.indexOf("\n")) : 0;
  while (at < source.length) {
    const space = match(SPACE, source, at);
    if (space !== null) {
      at += space[0].length;
      continue;
    }
    if (source.startsWith("--", at)) {
      const line = source.indexOf("\n", at);
      at = longBracket(source, at + 2)?.end ?? (line < 0 ? source.length : line);
      continue;
    }
    const char = source[at] as string;
    const long = char === "[" ? longBracket(source, at) : undefined;
    if (long !== undefined) {
      found.push({ kind: "string", text: source.slice(long.from, long.to) });
      at = long.end;
    } else if (char === '"' || char === "'") {
      const end = quotedEnd(source, at);
      const text = source.slice(at + 1, end - 1);
      found.push({ kind: "string", text: text.includes("\\") ? "" : text });
      at = end;
    } else {
      const word = match(WORD, source, at);
      const number = word === null ? match(NUMBER, source, at) : null;
      const text = (word ?? number ?? (match(SYMBOL, source, at) as RegExpExecArray))[0];
      found.push({ kind: word !== null ? "word" : number !== null ? "number" : "symbol", text });
      at += text.length;
    }
  }
  return found;
};

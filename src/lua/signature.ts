/**
 * The signatures of bindings as data: "(cmd: string|string[], opts?: {env?: table}): RunResult" and its like.
 *
 *     signature = call { " or " call }
 *     call      = "(" [ parameter { "," parameter } ] ")" [ ":" type { "," type } ]
 *     parameter = ( name [ "?" ] | "..." ) [ ":" type ] | table
 *     type      = single { "|" single }
 *     single    = ( name | text | "(" type ")" | "fun(" names ")" | table ) { "[]" } [ "..." ]
 *     table     = "{" field { "," field } "}"
 *     field     = ( name [ "?" ] | "[" type "]" ) [ ":" type ]
 *
 * A field without a type has that of the next field with one: {rx_bytes, tx_bytes: integer}.
 */

export type Type =
  | { readonly is: "name"; readonly name: string }
  /** A literal, with its quotes. */
  | { readonly is: "text"; readonly text: string }
  | { readonly is: "list"; readonly of: Type }
  | { readonly is: "any of"; readonly types: readonly Type[] }
  | { readonly is: "function"; readonly parameters: readonly string[] }
  | { readonly is: "table"; readonly fields: readonly Field[] };

export interface Field {
  /** A name, or the type of all keys. */
  readonly key: string | Type;
  readonly optional: boolean;
  readonly type: Type;
}

export interface Parameter {
  /** "..." for the rest. */
  readonly name: string;
  readonly optional: boolean;
  readonly type: Type;
}

export interface Call {
  readonly parameters: readonly Parameter[];
  /** `rest`: any number of them. */
  readonly returns: readonly { readonly type: Type; readonly rest: boolean }[];
}

const TOKEN = /\s*(\.\.\.|\[\]|[A-Za-z_][\w.]*|"[^"]*"|[(){}[\]|,:?])/y;

const tokensOf = (text: string): string[] => {
  const found: string[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const at = TOKEN.lastIndex;
    const match = TOKEN.exec(text);
    if (match === null) throw new SyntaxError(`signature ${text}: nothing begins at ${at}`);
    // "any..." is a name and a rest mark.
    const word = match[1] as string;
    if (word.endsWith("...") && word !== "...") found.push(word.slice(0, -3), "...");
    else found.push(word);
  }
  return found;
};

const ANY: Type = { is: "name", name: "any" };

class Reader {
  private at = 0;
  private readonly tokens: readonly string[];

  constructor(private readonly text: string) {
    this.tokens = tokensOf(text);
  }

  calls(): Call[] {
    const calls = [this.call()];
    while (this.take("or")) calls.push(this.call());
    if (this.at < this.tokens.length) this.fail("the end");
    return calls;
  }

  private call(): Call {
    this.expect("(");
    const parameters = this.list(")", () => this.parameter());
    const returns: { type: Type; rest: boolean }[] = [];
    if (this.take(":"))
      do {
        const type = this.type();
        returns.push({ type, rest: this.take("...") });
      } while (this.take(","));
    return { parameters, returns };
  }

  private parameter(): Parameter {
    if (this.take("{")) return { name: "options", optional: false, type: this.table() };
    const name = this.take("...") ? "..." : this.name();
    const optional = this.take("?");
    return { name, optional, type: this.take(":") ? this.type() : ANY };
  }

  private type(): Type {
    const types = [this.single()];
    while (this.take("|")) types.push(this.single());
    return types.length === 1 ? (types[0] as Type) : { is: "any of", types };
  }

  private single(): Type {
    let type: Type;
    if (this.take("(")) {
      type = this.type();
      this.expect(")");
    } else if (this.take("{")) type = this.table();
    else if (this.peek?.startsWith('"')) type = { is: "text", text: this.next() };
    else {
      const name = this.name();
      type =
        name === "fun" && this.take("(")
          ? { is: "function", parameters: this.list(")", () => this.name()) }
          : { is: "name", name };
    }
    while (this.take("[]")) type = { is: "list", of: type };
    return type;
  }

  private table(): Type {
    const found = this.list("}", () => {
      let key: string | Type;
      if (this.take("[")) {
        key = this.type();
        this.expect("]");
      } else key = this.name();
      const optional = this.take("?");
      return { key, optional, type: this.take(":") ? this.type() : undefined };
    });
    const fields = found.map(({ key, optional, type }, i) => ({
      key,
      optional,
      type: type ?? found.slice(i).find((later) => later.type !== undefined)?.type ?? ANY,
    }));
    return { is: "table", fields };
  }

  private list<T>(end: string, item: () => T): T[] {
    const items: T[] = [];
    if (this.take(end)) return items;
    do items.push(item());
    while (this.take(","));
    this.expect(end);
    return items;
  }

  private get peek(): string | undefined {
    return this.tokens[this.at];
  }

  private next(): string {
    return this.tokens[this.at++] as string;
  }

  private take(token: string): boolean {
    if (this.peek !== token) return false;
    this.at++;
    return true;
  }

  private expect(token: string): void {
    if (!this.take(token)) this.fail(`\`${token}\``);
  }

  private name(): string {
    if (this.peek === undefined || !/^[A-Za-z_]/.test(this.peek)) this.fail("a name");
    return this.next();
  }

  private fail(wanted: string): never {
    throw new SyntaxError(`signature ${this.text}: ${wanted} expected, got ${this.peek ?? "the end"}`);
  }
}

/** The ways to call something, at least one. Throws `SyntaxError`. */
export const parseSignature = (signature: string): readonly Call[] => new Reader(signature).calls();

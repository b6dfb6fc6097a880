/**
 * What tests can call as definitions for the Lua language server, made from the bindings themselves: every class,
 * method and function with its types and its text. The annotations are those of LuaLS and EmmyLua.
 */

import "../api/install.ts";
import "../runner/context.ts";
import { fixtureFunctions } from "../api/fixture.ts";
import { JSON_FUNCTIONS } from "../api/json.ts";
import { packFunctions } from "../api/pack-functions.ts";
import { PCAP_FUNCTIONS } from "../api/pcap.ts";
import { classicFunctions } from "../api/provium.ts";
import { type ClassDefinition, definedClasses } from "../lua/native.ts";
import { type Call, parseSignature, type Type } from "../lua/signature.ts";

interface Described {
  readonly signature: string;
  readonly doc: string;
}
type Members = Readonly<Record<string, Described>>;

/** Names of Lua's own, of ours, and what signatures call them. */
const NAMES: Readonly<Record<string, string>> = {
  vm: "VM",
  lab: "Lab",
  task: "Task",
  provium: "Provium",
  "provium.sys": "Sys",
  "test context": "TestContext",
};
const nameOf = (name: string): string => NAMES[name] ?? name;

const typeText = (type: Type): string => {
  switch (type.is) {
    case "name":
      return nameOf(type.name);
    case "text":
      return type.text;
    case "list":
      return type.of.is === "any of" ? `(${typeText(type.of)})[]` : `${typeText(type.of)}[]`;
    case "any of":
      return type.types.map(typeText).join("|");
    case "function":
      return `fun(${type.parameters.map((name) => `${name}: ${name === "t" ? "TestContext" : "any"}`).join(", ")})`;
    case "table":
      return `{ ${type.fields
        .map(({ key, optional, type: value }) =>
          typeof key === "string"
            ? `${key}${optional ? "?" : ""}: ${typeText(value)}`
            : `[${typeText(key)}]: ${typeText(value)}`,
        )
        .join(", ")} }`;
  }
};

const KEYWORDS = new Set([
  "function",
  "end",
  "repeat",
  "goto",
  "local",
  "nil",
  "not",
  "or",
  "and",
  "in",
  "then",
]);
const safe = (name: string): string => (KEYWORDS.has(name) ? `${name}_` : name);

const comment = (doc: string): string => `--- ${doc.replaceAll("\n", "\n--- ")}`;

/** "fun(self: VM, cmd: string): RunResult" for a further way to call something. */
const overload = ({ parameters, returns }: Call, self: string | undefined): string => {
  const words = [
    ...(self === undefined ? [] : [`self: ${self}`]),
    ...parameters.map(({ name, optional, type }) => `${safe(name)}${optional ? "?" : ""}: ${typeText(type)}`),
  ];
  const results = returns.map(({ type }) => typeText(type)).join(", ");
  return `fun(${words.join(", ")})${results === "" ? "" : `: ${results}`}`;
};

/** One function; `self` is the class of the receiver of a method. */
const functionStub = (written: string, { signature, doc }: Described, self?: string): string => {
  const [first, ...others] = parseSignature(signature) as [Call, ...Call[]];
  const lines = [comment(doc)];
  for (const { name, optional, type } of first.parameters)
    lines.push(`---@param ${safe(name)}${optional ? "?" : ""} ${typeText(type)}`);
  for (const { type, rest } of first.returns)
    lines.push(`---@return ${rest ? `${typeText(type)} ...` : typeText(type)}`);
  for (const other of others) lines.push(`---@overload ${overload(other, self)}`);
  lines.push(`function ${written}(${first.parameters.map(({ name }) => safe(name)).join(", ")}) end`);
  return lines.join("\n");
};

const functions = (owner: string, members: Members, self?: string): string[] =>
  Object.entries(members).map(([name, described]) =>
    functionStub(`${owner}${self === undefined ? "." : ":"}${name}`, described, self),
  );

/** Fields that exist by name only: `provium.web`, `lab.web`. */
const OPEN: Readonly<Record<string, string>> = {
  Lab: "---@field [string] VM|Bridge|Lab",
  Provium: "---@field [string] any",
  Sys: "---@field [string] string",
};

const classStub = ({ name, doc, fields, methods }: ClassDefinition<object>): string => {
  const own = nameOf(name);
  // `provium` is a lab: what it has of its own stands here, the rest is inherited.
  const lab = definedClasses().find((one) => one.name === "lab")?.methods ?? {};
  const shown =
    own === "Provium" ? Object.entries(methods).filter(([key]) => !(key in lab)) : Object.entries(methods);
  const head = [comment(doc), `---@class ${own}${own === "Provium" ? " : Lab" : ""}`];
  for (const [field, { type, doc: text }] of Object.entries(fields ?? {}))
    head.push(
      `---@field ${field} ${typeText(parseSignature(`(): ${type}`)[0]?.returns[0]?.type as Type)} ${text}`,
    );
  if (OPEN[own] !== undefined) head.push(OPEN[own]);
  head.push(`local ${own} = {}`);
  return [head.join("\n"), ...functions(own, Object.fromEntries(shown), own)].join("\n\n");
};

const HEAD = `---@meta
-- What provium tests can call, for editors. Made by \`provium lsp-setup\`; changes are lost.

---Seconds, or a text such as "500ms", "5s", "2m", "1h".
---@alias duration number|string

---Bytes, or a text such as "512M", "2G".
---@alias size integer|string

---@class BootOptions
---@field memory? size at least 16M; the profile's, 512M
---@field cpus? integer
---@field files? table<string, string>|{ path: string, content?: string, host?: string, mode?: integer|string }[] files that are there before init runs
---@field disks? { path: string, format?: "raw"|"qcow2", readonly?: boolean, id?: string }[]
---@field kernel_cmdline? string replaces the profile's command line
---@field kernel_cmdline_append? string words added to it
---@field rng_seed? integer seeds the guest's entropy
---@field initial_time? number seconds since the epoch: the guest's clock at boot
---@field boot_timeout? duration
---@field agent_timeout? duration the same

---@class RunOptions
---@field args? string[]
---@field env? table<string, string|integer>
---@field env_clear? boolean
---@field cwd? string
---@field stdin? string
---@field timeout? duration
---@field timeout_ms? integer

---@class TestMeta
---@field tags? string|string[]
---@field skip? boolean|string
---@field slow? boolean
---@field timeout? duration
---@field spec? string|string[]
---@field [string] any`;

const GLOBALS = `--- Declares a test. \`meta\` may hold \`tags\`, \`skip\`, \`slow\`, \`timeout\`, \`spec\` and anything else.
---@param name string
---@param meta TestMeta
---@param fn fun(t: TestContext)
---@overload fun(name: string, fn: fun(t: TestContext))
function test(name, meta, fn) end

--- In a test: skips it. At the top level: skips every test of the file.
---@param reason? any
function todo(reason) end

--- Raises unless \`a == b\`, or both are plain tables of the same content.
---@param a any
---@param b any
---@param message? any
function assert_eq(a, b, message) end

--- Raises unless \`needle\` occurs in \`haystack\`.
---@param haystack string
---@param needle string
---@param message? any
function assert_contains(haystack, needle, message) end

--- Calls the predicate until it returns something true, and returns that. Defaults: 10 s, every 0.1 s.
---@generic T
---@param predicate fun(): T
---@param opts? { timeout?: duration, interval?: duration, desc?: string }
---@return T
function wait_until(predicate, opts) end

--- The root lab of the file, and the functions of the classic API.
---@type Provium
provium = {}

co = coroutine

json = {}`;

const STRINGS = `--- Without white space at both ends: \`s.trim()\` and \`s:trim()\`.
---@param s? string
---@return string
function string.trim(s) end

--- Whether a text occurs in it.
---@param s string
---@param text? string
---@return boolean
function string.contains(s, text) end

--- Whether it begins with a text.
---@param s string
---@param text? string
---@return boolean
function string.starts_with(s, text) end`;

/** The whole file. */
export const stubs = (): string =>
  `${[
    HEAD,
    ...definedClasses().map(classStub),
    ...functions("Lab", fixtureFunctions(null as never, null as never)),
    ...functions("Lab", packFunctions(null as never)),
    ...functions("Provium", classicFunctions(null as never)),
    ...functions("Provium", PCAP_FUNCTIONS),
    GLOBALS,
    ...functions("json", JSON_FUNCTIONS as Members),
    STRINGS,
  ].join("\n\n")}\n`;

/** Wrong use that would otherwise be a wrong result: each is refused, by the call's name and at the caller's line. */

import { afterEach, expect, test } from "bun:test";
import { GuestError } from "../../../src/errors/errors.ts";
import { type World, world } from "./world.ts";

let open: World | undefined;
afterEach(() => {
  open?.close();
  open = undefined;
});

const asked = (): never => {
  throw new GuestError("the guest was asked", 0);
};
const actor = { run: asked, syscall: asked, mkdir: asked, writeFile: asked, stat: asked };
const G = 'local g = provium:vm("g", "default"):boot();\n';

const REFUSED: readonly (readonly [code: string, message: string])[] = [
  // Elements behind a gap would be lost.
  ['g:run("p", {"a", nil, "c"})', "run: opts[2]: nil in a list, with elements behind it"],
  ['g:run("p", {args = {nil, "c"}})', "run: opts.args[1]: nil in a list, with elements behind it"],
  ["g:syscall(3, {args = {1, nil, 3}})", "syscall: request.args[2]: nil in a list"],
  // Words in the wrong table would do nothing.
  ['g:run({"p", timeout = 5})', "run: the command array has a key `timeout`"],
  ["g:syscall(3, {7})", "syscall: request: unknown key [1]"],
  ["g:syscall(3, {args = {}}, 7)", "syscall: nothing may follow the table of a request, got number 7"],
  ['g:stat("/x", {"follow"})', "stat: opts: unknown key [1]"],
  ['g:run("p", {[true] = 1, env_clear = true})', "run: opts: unknown key [boolean true]"],
  ['g:batch(function(q) q:mkdir("/x", {parent = true}) end)', "mkdir: opts: unknown key 'parent'"],
  ['g:batch(function(q) q:write_file("/x", "", {mode = 1}) end)', "write_file: opts: unknown key 'mode'"],
  ['g:batch(function(q) q:stat("/x", {folow = false}) end)', "stat: opts: unknown key 'folow'"],
  ['g:run("p", {env = {A = {}}})', "run: opts.env.A: string expected, got table"],
  // What Lua's own functions refuse, too.
  ['provium.pack("q7", 1)', "pack: format string \"q7\": invalid format option 'q'"],
  ['provium:unpack("<I4", "ab")', 'unpack: format string "<I4": argument #2: data string too short'],
  ['("a").contains()', "bad argument #1 to 'contains' (string expected, got nil)"],
  ['("a"):contains({})', "bad argument #1 to 'contains' (string expected, got table)"],
  ['("a"):starts_with(true)', "bad argument #1 to 'starts_with' (string expected, got boolean)"],
  ["json.encode({[math.maxinteger] = 1})", "with only 1 elements"],
  ['json.encode({[1] = "a", ["1"] = "b", x = 1})', 'the keys 1 and "1" of one table have the same JSON form'],
  ["json.encode({[1.5] = 1})", "a key must be a string or an integer, got number 1.5"],
  ["provium.reset_between_tests = 5", "provium.reset_between_tests is true or false, got number 5"],
];

for (const [code, message] of REFUSED)
  test(`${code} says: ${message}`, () => {
    open = world(actor);
    let said = "";
    try {
      open.lua(G + code);
    } catch (error) {
      said = (error as Error).message;
    }
    expect(said).toContain(message);
    expect(said.startsWith("a.test.lua:2: ")).toBe(true);
  });

test("a number is as good as its text where text is wanted", () => {
  open = world();
  const code = 'return ("5a").starts_with(5), ("a5"):contains(5)';
  expect(open.lua(code)).toEqual([true, true]);
});

test("a vm that has no context ID answers nil, not nothing", () => {
  open = world();
  expect(open.lua('return select("#", provium:vm("g", "default"):cid())')).toEqual([1]);
});

import { expect, test } from "bun:test";
import { ApiError, InterruptedError } from "../../../src/errors/errors.ts";
import { lua } from "../../../src/lua/engine.ts";
import { LuaError } from "../../../src/lua/errors.ts";
import type { LuaFunction } from "../../../src/lua/function.ts";
import { defineClass, fn, method } from "../../../src/lua/native.ts";
import { LuaState } from "../../../src/lua/state.ts";
import type { LuaTable } from "../../../src/lua/table.ts";
import { traceback } from "../../../src/lua/trace.ts";
import { LuaFloat, luaFloat, results } from "../../../src/lua/values.ts";
import { after, sleep, until } from "../../../src/sys/op.ts";
import { Reactor } from "../../../src/sys/reactor.ts";

const newState = (): LuaState => new LuaState({ reactor: new Reactor(), memoryLimitMb: 0, roots: [] });
const evaluate = (state: LuaState, text: string, ...args: unknown[]) =>
  state.load(text, "t.lua").call(...args);
const text = (value: unknown): string => new TextDecoder().decode(value as Uint8Array);
const failure = (body: () => unknown): LuaError => {
  try {
    body();
  } catch (error) {
    if (error instanceof LuaError) return error;
    throw error;
  }
  throw new Error("expected a LuaError");
};

class Guest {
  log: string[] = [];
  constructor(readonly name: string) {}
}

defineClass<Guest>({
  name: "guest",
  of: Guest,
  doc: "A thing to talk to.",
  methods: {
    run: method("(cmd: string): string", "Waits a little and answers.", function* (self, args) {
      const cmd = args.text(1, "cmd");
      self.log.push(cmd);
      yield* sleep(1);
      return `${self.name}:${cmd}`;
    }),
    fail: method("()", "Raises.", () => {
      throw new ApiError("it is broken", { hint: "mend it" });
    }),
    crash: method("()", "Has a bug.", () => {
      throw new TypeError("oops");
    }),
    each: method("(f: function)", "Calls back.", (_self, args) => args.func(1).call("x")),
  },
  get: (self, key) => (key === "name" ? self.name : undefined),
  equals: (a, b) => a.name === b.name,
  text: (self) => `guest ${self.name}`,
});

test("values keep their type and every bit on the way into Lua and back", () => {
  const state = newState();
  const bytes = new Uint8Array([0, 255, 10, 128]);
  const [echo] = evaluate(state, "return function(...) return ... end");
  const back = (value: unknown) => (echo as LuaFunction).call(value)[0];
  expect(back(5)).toBe(5);
  expect(back(-0)).toEqual(new LuaFloat(-0));
  expect(back(2n ** 63n)).toBe(-(2n ** 63n));
  expect(back(2n ** 64n - 1n)).toBe(-1);
  expect(back(1.5)).toBe(1.5);
  expect(back(luaFloat(1))).toEqual(new LuaFloat(1));
  expect(back(bytes)).toEqual(bytes);
  expect(text(back("héllo"))).toBe("héllo");
  expect(back(null)).toBeUndefined();
  expect(back(true)).toBe(true);
  const table = back({ a: [1, 2, 3], m: new Map([[7, "seven"]]) }) as LuaTable;
  expect(table.table("a").items()).toEqual([1, 2, 3]);
  expect(table.table("m").text(7)).toBe("seven");
});

test("an instance is the same userdata each time, and equality is the class's own", () => {
  const state = newState();
  const a = new Guest("a");
  const same = evaluate(
    state,
    "local a, b, c, d = ... return rawequal(a, b), a == c, a == d, a.name, tostring(a)",
    a,
    a,
    new Guest("a"),
    new Guest("d"),
  );
  expect(same.slice(0, 3)).toEqual([true, true, false]);
  expect(same.slice(3).map(text)).toEqual(["a", "guest a"]);
});

test("a blocking method returns its result to Lua", () => {
  const state = newState();
  expect(text(evaluate(state, "return (...):run('ls')", new Guest("g"))[0])).toBe("g:ls");
});

test("an expected failure is a string with the caller's position, hint below, and the error kept aside", () => {
  const state = newState();
  const [ok, message] = evaluate(
    state,
    "local g = ...\nreturn pcall(function()\n  g:fail()\nend)",
    new Guest("g"),
  );
  expect(ok).toBe(false);
  expect(text(message)).toBe("t.lua:3: it is broken\n  try: mend it");
  expect(state.causeOf(text(message))).toBeInstanceOf(ApiError);
});

test("a wrong argument names the function, the parameter and the value received", () => {
  const state = newState();
  const guest = new Guest("g");
  const messages = ["g:run()", "g:run({})", "g.run('x')", "g:run(g)"].map(
    (call) => failure(() => evaluate(state, `local g = ... ${call}`, guest)).message.split("\n")[0],
  );
  expect(messages).toEqual([
    "t.lua:1: bad argument #1 to 'run' (cmd: string expected, got no value)",
    "t.lua:1: bad argument #1 to 'run' (cmd: string expected, got table)",
    "t.lua:1: calling 'run' on bad self (guest expected, got string \"x\")",
    "t.lua:1: bad argument #1 to 'run' (cmd: string expected, got guest)",
  ]);
});

test("a JS exception in a binding is a Lua error that says so and shows both stacks", () => {
  const state = newState();
  const error = failure(() =>
    evaluate(state, "local g = ...\nlocal function poke() g:crash() end\npoke()", new Guest("g")),
  );
  expect(error.message).toContain("bug in provium");
  expect(error.message).toContain("TypeError: oops");
  expect(error.message).toContain("Lua stack:\n  t.lua:2: in local 'poke'");
  expect(traceback(error.frames)).toContain("t.lua:2: in local 'poke'");
});

test("a Lua error through a binding's callback keeps its value", () => {
  const state = newState();
  const [ok, value] = evaluate(
    state,
    "local g = ... return pcall(g.each, g, function() error({code = 7}) end)",
    new Guest("g"),
  );
  expect(ok).toBe(false);
  expect((value as LuaTable).get("code")).toBe(7);
});

test("a traceback names files, lines and functions", () => {
  const state = newState();
  const error = failure(() =>
    evaluate(state, "local function inner() error('x') end\nlocal function outer()\n  inner()\nend\nouter()"),
  );
  expect(error.message).toBe("t.lua:1: x");
  expect(
    traceback(error.frames)
      .split("\n")
      .map((line) => line.trim()),
  ).toEqual(
    [
      "[host]: in function 'error'",
      "t.lua:1: in upvalue 'inner'",
      "t.lua:3: in local 'outer'",
      "t.lua:5: in main chunk",
    ].slice(1),
  );
});

test("an interruption passes pcall, xpcall and coroutines, and the state works afterwards", () => {
  const state = newState();
  const stop = fn("stop", "()", "Ends it.", () => {
    throw new InterruptedError("enough");
  });
  for (const wrap of [
    "pcall(stop)",
    "xpcall(stop, function() end)",
    "coroutine.wrap(function() pcall(stop) end)()",
    "while true do pcall(stop) end",
  ])
    expect(() => evaluate(state, `stop = ... ${wrap} return 1`, stop)).toThrow(InterruptedError);
  expect(evaluate(state, "return pcall(function() return 1 + 1 end)")).toEqual([true, 2]);
});

test("inside a coroutine of ours a blocking method yields, also through pcall, and tasks run side by side", () => {
  const state = newState();
  const order: string[] = [];
  const note = fn("note", "(s: string)", "Notes.", (args) => void order.push(args.text(1)));
  state.setGlobal("note", note);
  const body = state.load(
    "local g, name = ...\nfor i = 1, 3 do note(name .. i) assert(pcall(g.run, g, 'x')) end\nreturn name",
    "t.lua",
  );
  const values = state.tasks.run(
    state.tasks.all([body.run(new Guest("a"), "a"), body.run(new Guest("b"), "b")]),
  );
  expect(values.map(([value]) => text(value))).toEqual(["a", "b"]);
  expect(order.slice(0, 2)).toEqual(["a1", "b1"]);
  expect(order.length).toBe(6);
});

test("where Lua cannot yield, a blocking call blocks and the other tasks go on", () => {
  const state = newState();
  const rest = state.load(
    "local g = ... return (('x'):gsub('x', function() return g:run('y') end))",
    "t.lua",
  );
  const guest = new Guest("g");
  const other = state.tasks.start(state.load("(...):run('other')", "u.lua").run(guest));
  expect(text(rest.call(guest)[0])).toBe("g:y");
  expect(guest.log).toContain("other");
  expect(other.failed).toBe(false);
});

test("a cancelled task releases what its call holds", () => {
  const state = newState();
  let held = false;
  let released = false;
  const hold = fn("hold", "()", "Waits for ever.", function* () {
    try {
      held = true;
      yield { ready: () => false, deadline: after(60_000) };
    } finally {
      released = true;
    }
  });
  const task = state.tasks.start(state.load("pcall(...)", "t.lua").run(hold));
  state.tasks.run(until(() => held, after(20_000)));
  expect(released).toBe(false);
  task.cancel();
  expect(released).toBe(true);
  expect(task.done).toBe(true);
  expect(state.tasks.close().failures).toEqual([]);
});

test("an error in a task has the position inside the task", () => {
  const state = newState();
  const ops = [state.load("local g = ... g:run('a')\nerror('late')", "t.lua").run(new Guest("g"))];
  const error = failure(() => state.tasks.run(state.tasks.all(ops)));
  expect(error.message).toBe("t.lua:2: late");
});

test("a syntax error carries file and line", () => {
  expect(failure(() => newState().load("x = 1\ny = = 2", "dir/broken.lua")).message).toBe(
    "dir/broken.lua:2: unexpected symbol near '='",
  );
});

test("an unknown option is refused with the nearest name", () => {
  const state = newState();
  const boot = fn("boot", "(opts: table)", "Boots.", (args) => {
    const opts = args.table(1, "opts");
    opts.only(["memory", "cpus"]);
    return results(opts.optText("memory"), opts.optCount("cpus"));
  });
  expect(text(evaluate(state, "return (...){memory = '1G'}", boot)[0])).toBe("1G");
  expect(failure(() => evaluate(state, "return (...){memroy = '1G'}", boot)).message).toBe(
    "t.lua:1: opts: unknown key 'memroy'\n  try: did you mean \"memory\"?",
  );
  expect(failure(() => evaluate(state, "return (...){cpus = 'many'}", boot)).message).toBe(
    't.lua:1: opts.cpus: integer expected, got string "many"',
  );
});

test("deep recursion is a Lua error and the state goes on", () => {
  const state = newState();
  const [ok, message] = evaluate(state, "local function f() return 1 + f() end return pcall(f)");
  expect(ok).toBe(false);
  expect(text(message)).toContain("stack overflow");
  expect(evaluate(state, "return 1")).toEqual([1]);
});

test.if(lua.lua_pushbytes !== undefined)("a large result is handed over without a copy", () => {
  const state = newState();
  const data = new Uint8Array(1 << 20).fill(7);
  const give = fn("give", "(): string", "Gives.", () => data);
  expect(evaluate(state, "local s = (...)() return #s, s:byte(-1)", give)).toEqual([1 << 20, 7]);
  expect(evaluate(state, "return (...)()", give)[0] === data).toBe(true);
});

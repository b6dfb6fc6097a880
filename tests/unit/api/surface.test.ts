import { afterEach, describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { GuestError } from "../../../src/errors/errors.ts";
import type { Actor, Command, SyscallRequest } from "../../../src/lab/ports.ts";
import { LuaFloat } from "../../../src/lua/values.ts";
import { Reactor } from "../../../src/sys/reactor.ts";
import { at } from "../lab/fakes.ts";
import { type World, world } from "./world.ts";

let open: World | undefined;
const start = (actor: Partial<Actor> = {}, dialect: "classic" | "lab" = "lab"): World => {
  open?.close();
  open = world(actor, dialect);
  return open;
};
afterEach(() => {
  open?.close();
  open = undefined;
});

const text = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes);
const bytes = (value: string): Uint8Array => new TextEncoder().encode(value);

/** Guests that note every command and end as told. */
const recorder = (result: Partial<{ code: number; how: "exited" | "signalled"; timedOut: boolean }> = {}) => {
  const commands: Command[] = [];
  const actor: Partial<Actor> = {
    run: (command) =>
      at(() => {
        commands.push(command);
        return {
          how: "exited",
          code: 0,
          timedOut: false,
          stdout: bytes(" out \n"),
          stderr: bytes("err"),
          ...result,
        };
      }),
  };
  return { commands, actor };
};
const G = 'local g = provium:vm("g", "default"):boot() ';

describe("call shapes of run", () => {
  const shapes: [string, string[], Partial<Record<"cwd" | "stdin", string>>][] = [
    ['"a | b"', ["/bin/sh", "-c", "a | b"], {}],
    ['"a | b", {}', ["/bin/sh", "-c", "a | b"], {}],
    ['"a | b", {cwd = "/x"}', ["/bin/sh", "-c", "a | b"], { cwd: "/x" }],
    ['"prog", {"x", "y"}', ["prog", "x", "y"], {}],
    ['"prog", {args = {"x"}, stdin = "in"}', ["prog", "x"], { stdin: "in" }],
    ['"prog", {args = {}}', ["prog"], {}],
    ['"prog", {"x", cwd = "/"}', ["prog", "x"], { cwd: "/" }],
    ['{"prog", "x"}', ["prog", "x"], {}],
    ['{"prog"}, {cwd = "/"}', ["prog"], { cwd: "/" }],
    ['table.pack("prog", "x")', ["prog", "x"], {}],
  ];
  for (const [call, argv, options] of shapes)
    test(`run(${call}) starts ${argv.join(" ")}`, () => {
      const { commands, actor } = recorder();
      start(actor).lua(`${G} g:run(${call})`);
      expect(commands[0]?.argv.map(text)).toEqual(argv);
      expect(commands[0]?.cwd && text(commands[0].cwd)).toBe(options.cwd as string);
      expect(commands[0]?.stdin && text(commands[0].stdin)).toBe(options.stdin as string);
    });

  test("environment and timeout go along", () => {
    const { commands, actor } = recorder();
    start(actor).lua(`${G} g:run("env", {env = {A = "1", N = 2}, env_clear = true, timeout = "1.5s"})`);
    expect(commands[0]?.env.map(text)).toEqual(["A=1", "N=2"]);
    expect(commands[0]?.envClear).toBe(true);
    expect(commands[0]?.timeoutMs).toBe(1500);
  });

  const refused: [string, string][] = [
    ['"p", {"x", args = {"y"}}', "positional entries and args"],
    ['"p", {timeout = 1, timeout_ms = 5}', "both timeout and timeout_ms"],
    ['"p", {timeout = {}}', 'run: opts.timeout must be a duration (number of seconds or "500ms"), got table'],
    ['"p", {timeout = -1}', "negative"],
    ['"p", {timeout = 0/0}', "must be a duration"],
    ['"p", {tiemout = 1}', "unknown key 'tiemout'"],
    ['"a\\0b"', "NUL byte"],
    ["{}", "the command array is empty"],
    ['"p", {env = {["A=B"] = "x"}}', "a key must be a variable's name"],
    ["", "cmd: string expected, got no value"],
  ];
  for (const [call, message] of refused)
    test(`run(${call}) is refused: ${message}`, () => {
      const { commands, actor } = recorder();
      expect(() => start(actor).lua(`${G} g:run(${call})`)).toThrow(message);
      expect(commands).toEqual([]);
    });
});

describe("results of commands", () => {
  test("a signal is -1 and a timeout -2 in a RunResult", () => {
    const killed = recorder({ how: "signalled", code: 11 });
    expect(
      start(killed.actor).lua(`${G} local r = g:run("x") return r.exit_code, r.status, r.signal, r:ok()`),
    ).toEqual([-1, "signalled", 11, false]);
    const late = recorder({ how: "signalled", code: 9, timedOut: true });
    expect(
      start(late.actor).lua(`${G} local r = g:run("x") return r.exit_code, r.status, r.timed_out`),
    ).toEqual([-2, "timed_out", true]);
  });

  test("assert_ok shows the status, the signal's name and both outputs", () => {
    const killed = recorder({ how: "signalled", code: 11 });
    expect(() => start(killed.actor).lua(`${G} g:run("boom"):assert_ok()`)).toThrow(
      "assert_ok: command was killed by SIGSEGV: boom\nstdout:\n   out \nstderr:\n  err",
    );
  });

  test("an exec result is a table whose ok is a field, with assert_ok besides", () => {
    const { actor } = recorder();
    expect(
      start(actor).lua(
        `${G} local r = g:exec("x") return type(r), r.ok, r.exit_code, r.stdout.trim(), r.stdout:contains("out"), r:assert_ok() == r, rawget(r, "assert_ok")`,
      ),
    ).toEqual(["table", true, 0, "out", true, true, undefined]);
  });

  test("vm:json keeps 64-bit integers and says whose output was no JSON", () => {
    const answer = (json: string): Partial<Actor> => ({
      run: () =>
        at(() => ({ how: "exited", code: 0, timedOut: false, stdout: bytes(json), stderr: bytes("") })),
    });
    expect(start(answer('{"n": 9007199254740993}')).lua(`${G} return g:json("x").n`)).toEqual([
      9007199254740993n,
    ]);
    expect(() => start(answer("{oops")).lua(`${G} g:json("cat x")`)).toThrow("json: output of `cat x`:");
  });
});

describe("flavours", () => {
  const failing: Partial<Actor> = { syscall: () => at(() => ({ ret: -13, out: [] })) };

  test("a failing system call is -errno on a classic handle and -1 with errno on a lab handle", () => {
    const w = start(failing);
    expect(w.lua('local c = provium.create("default"):boot() return c:syscall(1)')).toEqual([-13]);
    expect(w.lua(`${G} local r = g:syscall(1) return r.ret, r.result, r.errno, #r.out_bufs`)).toEqual([
      -1, -1, 13, 0,
    ]);
  });

  test("as() gives the other view of the same vm", () => {
    const w = start(failing);
    expect(w.lua(`${G} local c = g:as("classic") return c:syscall(1), c == g, rawequal(c, g)`)).toEqual([
      -13,
      true,
      false,
    ]);
    expect(() => w.lua('return provium.g:as("modern")')).toThrow(
      "invalid value 'modern' (allowed: 'classic', 'lab')",
    );
  });

  test("the table form returns the table on both flavours and maps buffers to slots", () => {
    const seen: SyscallRequest[] = [];
    const w = start({
      syscall: (request) =>
        at(() => {
          seen.push(request);
          return { ret: 5, out: request.bufs };
        }),
    });
    expect(
      w.lua(
        'local c = provium.create("default"):boot() local r = c:syscall(1, {args = {0, 7}, bufs = {("a"):rep(16), "cd"}, ptrs = {0}, nested = {{parent = 1, child = 2, offset = 8}}}) return r.ret, r.errno, r.out_bufs[2]',
      ),
    ).toEqual([5, 0, "cd"]);
    expect(seen[0]).toMatchObject({ args: [0, 7], ptrs: [0, -1], nested: [[0, 1, 8]] });
  });

  test("classic buffer forms put buffers into their slots and return them in slot order", () => {
    const seen: SyscallRequest[] = [];
    const w = start({
      syscall: (request) =>
        at(() => {
          seen.push(request);
          return { ret: 0, out: request.bufs };
        }),
    });
    w.lua(G);
    expect(w.lua('return provium.g:syscall_bufs(9, {[3] = "three", [1] = "one"}, -100, 0, 7)')).toEqual([
      0,
      "one",
      "three",
    ]);
    expect(seen[0]).toMatchObject({ args: [-100, 0, 7, 0], ptrs: [1, 3] });
    expect(
      w.lua(
        'return provium.g:syscall_ptr(9, {[0] = "0123456789abcdef"}, {{buf_idx = 0, ptr_offset = 8, data = "sd"}}, 0)',
      ),
    ).toEqual([0, "0123456789abcdef", "sd"]);
    expect(seen[1]).toMatchObject({ args: [0], ptrs: [0, -1], nested: [[0, 1, 8]] });
    expect(w.lua('return provium.g:syscall_buf(9, 0, "x", 0, 1)')).toEqual([0]);
    expect(() => w.lua('provium.g:syscall_buf(9, 6, "x")')).toThrow(
      "argument slot from 0 to 5, got number 6",
    );
  });
});

describe("provium", () => {
  test("a vm called create hides the classic function, and a script's own values come last", () => {
    const w = start();
    expect(w.lua("provium.own = 5 provium.create = 6 return provium.own, type(provium.create)")).toEqual([
      5,
      "function",
    ]);
    w.lua('provium:vm("create", "default")');
    expect(w.lua("return provium.create:name(), provium.nothing")).toEqual(["create", undefined]);
  });

  test("a colon call of a classic function drops the receiver", () => {
    expect(start().lua('return provium:create("minimal"):name()')).toEqual(["minimal-1"]);
  });

  for (const call of ["create", "fixture", "vm_fixture", "lab_fixture", "pack", "unpack", "pcap"])
    test(`${call} counts its arguments alike behind a dot and a colon`, () => {
      const w = start();
      const says = (code: string): unknown => w.lua(`return select(2, pcall(function() ${code} end))`)[0];
      expect(says(`provium.${call}()`)).toContain(`bad argument #1 to '${call}'`);
      expect(says(`provium:${call}()`)).toBe(says(`provium.${call}()`));
    });

  for (const name of ["constructor", "toString", "hasOwnProperty", "__proto__"])
    test(`${name} is a name like every other`, () => {
      const { actor } = recorder();
      const w = start(actor);
      expect(
        w.lua(
          `${G} local r, s = g:run("true"), provium:lab("s") return r.${name}, s.${name}, provium.${name}`,
        ),
      ).toEqual([undefined, undefined, undefined]);
      expect(
        w.lua(
          `provium.${name} = 5 local five = provium.${name} provium:vm("${name}", "default") return five, provium.${name}:name()`,
        ),
      ).toEqual([5, name]);
    });

  test("a file that is depended on must be named, also where nothing depends", () => {
    expect(() => start().lua("provium:depends_on_file()")).toThrow("path: string expected, got no value");
  });

  test("the deadline of a file takes seconds or text and is heard of at once", () => {
    const w = start();
    const heard: (number | undefined)[] = [];
    w.surface.onTimeoutSet((ms) => heard.push(ms));
    expect(w.lua('provium.timeout = "1m" return provium.timeout')).toEqual([new LuaFloat(60)]);
    expect(w.surface.settings.timeoutMs).toBe(60_000);
    w.lua("provium.timeout = nil");
    expect(heard).toEqual([60_000, undefined]);
  });

  test("reset_between_tests is said before the tests run, and has no place in a classic file", () => {
    const w = start();
    expect(w.lua("provium.reset_between_tests = true return provium.reset_between_tests")).toEqual([true]);
    expect(() => w.lua("provium.reset_between_tests = 1")).toThrow("is true or false");
    new Reactor().run(w.surface.reset.begin());
    w.lua("provium.reset_between_tests = true");
    expect(() => w.lua("provium.reset_between_tests = false")).toThrow("before its tests run");
    expect(() => start({}, "classic").lua("provium.reset_between_tests = true")).toThrow(
      "no place in a classic file",
    );
  });

  test("a test's own vm is gone after the test while one of the file stays", () => {
    const w = start();
    w.lua('provium:vm("file", "default"):boot()');
    w.surface.enterTest("one");
    w.lua('provium:vm("own", "default"):boot()');
    expect(w.lua("return provium.own:state(), provium.file:state()")).toEqual(["booted", "booted"]);
    w.state.reactor.run(w.surface.leaveTest());
    expect(w.lua("return provium.own, provium.file:state()")).toEqual([undefined, "booted"]);
  });

  test("classic memory texts without a unit are MiB, and relative paths start at the project", () => {
    const w = start();
    mkdirSync(join(w.directory, "project"));
    writeFileSync(join(w.directory, "project", "x.conf"), "");
    writeFileSync(join(w.directory, "y.conf"), "");
    w.lua('provium.create("default"):boot{memory = "128", files = {["/etc/x"] = "x.conf"}}');
    w.lua('provium:vm("l", "default"):boot{files = {{path = "/etc/y", host = "y.conf"}}}');
    expect(w.machines[0]?.spec.memoryBytes).toBe(128 * 2 ** 20);
    expect(w.requests.map((request) => request.files[0]?.host)).toEqual([
      join(w.directory, "project", "x.conf"),
      join(w.directory, "y.conf"),
    ]);
    expect(() => w.lua('provium.create("default"):boot{files = {["/x"] = "none"}}')).toThrow(
      "does not exist",
    );
  });
});

describe("json", () => {
  const encoded: [string, string][] = [
    ["{}", "[]"],
    ["{1, {a = true}}", '[1,{"a":true}]'],
    ["{[1] = 1, [3] = 3}", "[1,null,3]"],
    ['{[2] = 1, x = "y"}', '{"2":1,"x":"y"}'],
    ["{[0] = 1}", '{"0":1}'],
    ["math.mininteger", "-9223372036854775808"],
    ["2.0", "2.0"],
    ["1e100", "1e+100"],
    ['"é\\n\\"\\0"', '"é\\n\\"\\u0000"'],
    ["nil", "null"],
  ];
  for (const [value, json] of encoded)
    test(`${value} is ${json}`, () => expect(start().lua(`return json.encode(${value})`)).toEqual([json]));

  const refused: [string, string][] = [
    ["0/0", "NaN"],
    ["math.huge", "infinity"],
    ["print", "a function has no JSON form"],
    ["provium", "userdata has no JSON form"],
    ["{[true] = 1}", "a key must be a string or an integer"],
    ["(function() local t = {} t[1] = t return t end)()", "contains itself"],
    ['"\\xff"', "not valid UTF-8"],
    ["{[1e9 // 1 | 0] = 1}", "only 1 elements"],
  ];
  for (const [value, message] of refused)
    test(`${value} has no JSON form`, () =>
      expect(() => start().lua(`json.encode(${value})`)).toThrow(message));

  test("integers of 64 bits are exact, beyond them they wrap or become floats", () => {
    expect(
      start().lua(
        'local v = json.decode("[9223372036854775807, -9223372036854775808, 18446744073709551615, 18446744073709551616]") return v[1], v[2], v[3], math.type(v[4])',
      ),
    ).toEqual([9223372036854775807n, -9223372036854775808n, -1, "float"]);
  });

  test("floats stay floats, null leaves nothing", () => {
    expect(
      start().lua(
        'local v = json.decode([[{"a": 2.0, "b": null, "c": [1, null, 3]}]]) return math.type(v.a), v.b, v.c[2], v.c[3], json.decode("null")',
      ),
    ).toEqual(["float", undefined, undefined, 3, undefined]);
  });

  test("a parse error tells its position, and endless nesting is an error too", () => {
    expect(() => start().lua("json.decode('[1, 2')")).toThrow("at position 5");
    expect(() => start().lua("json.decode(string.rep('[', 1e6))")).toThrow("nested too deep");
  });
});

describe("batch", () => {
  test("requests go out together, answers come in order, and a failure stops nothing", () => {
    const log: string[] = [];
    const step = <T>(name: string, result: () => T) =>
      (function* () {
        log.push(`${name} sent`);
        yield { ready: () => true, deadline: Number.POSITIVE_INFINITY };
        log.push(`${name} answered`);
        return result();
      })();
    const w = start({
      mkdir: () => step("mkdir", () => undefined),
      writeFile: () => step("write", () => undefined),
      readFile: () =>
        step("read", () => {
          throw new GuestError("open `/q`: No such file or directory (ENOENT)", 2);
        }),
      unlink: () => step("unlink", () => undefined),
    });
    expect(
      w.lua(
        `${G} local r = g:batch(function(q) q:mkdir("/a") q:write_file("/a/b", "x") q:read_file("/q") end) return #r, r[1].ok, r[1].err, next(r[2]), r[3].err`,
      ),
    ).toEqual([3, undefined, undefined, undefined, "open `/q`: No such file or directory (ENOENT)"]);
    expect(log.slice(0, 3)).toEqual(["mkdir sent", "write sent", "read sent"]);
  });

  test("a symbolic link is not followed when that is said", () => {
    const followed: boolean[] = [];
    const stat = { size: 0, mtimeNs: 0n, perm: 0, type: "file", uid: 0, gid: 0, ino: 0, nlink: 1 };
    const w = start({
      stat: (_path, follow) =>
        at(() => {
          followed.push(follow);
          return stat as never;
        }),
    });
    w.lua(`${G} g:batch(function(q) q:stat("/l") q:stat("/l", {follow = false}) end)`);
    expect(followed).toEqual([true, false]);
  });

  test("nothing overtakes a command or a read", () => {
    const log: string[] = [];
    const step = (name: string) =>
      (function* () {
        log.push(`${name} sent`);
        yield { ready: () => true, deadline: Number.POSITIVE_INFINITY };
        log.push(`${name} answered`);
        return { how: "exited" as const, code: 0, timedOut: false, stdout: bytes(""), stderr: bytes("") };
      })();
    const w = start({
      run: () => step("run"),
      readFile: () => step("read") as never,
      unlink: () => step("unlink") as never,
    });
    w.lua(`${G} g:batch(function(q) q:run("x") q:read_file("/x") q:unlink("/x") end)`);
    expect(log).toEqual([
      "run sent",
      "run answered",
      "read sent",
      "read answered",
      "unlink sent",
      "unlink answered",
    ]);
  });

  test("a queue kept beyond its batch refuses more", () => {
    const w = start();
    expect(() => w.lua(`${G} local kept g:batch(function(q) kept = q end) kept:stat("/")`)).toThrow(
      "the batch is over",
    );
  });
});

describe("console", () => {
  test("expect sees what was there and what comes, and shows the console when it does not", () => {
    const w = start();
    w.lua(G);
    const machine = w.machines[0];
    if (machine !== undefined) machine.text = "x".repeat(70_000).concat("login: ");
    expect(w.lua('return provium.g:console():expect("login: ")')).toEqual(["login: "]);
    expect(() => w.lua('provium.g:console():expect("never", 0.01)')).toThrow(
      'console:expect: "never" not seen within 0.01 s',
    );
    expect(w.lua("return #provium.g:console():read_log()")).toEqual([70_007]);
  });

  test("expect goes on behind what a console that says too much has lost", () => {
    const w = start();
    w.lua(G);
    const machine = w.machines[0];
    if (machine !== undefined) {
      machine.text = `${"x".repeat(1000)}login: `;
      machine.lost = 500;
    }
    expect(w.lua('return provium.g:console():expect("login: ", 0.01)')).toEqual(["login: "]);
  });

  test("a console before the first boot is an error only when it is used", () => {
    expect(() => start().lua('local c = provium:vm("g", "default"):console() c:read_log()')).toThrow(
      "vm `g` is created; console:read_log needs a vm that has been booted",
    );
  });

  test("timeout_ms points to timeout", () => {
    expect(() => start().lua(`${G} g:console():write("x", {timeout_ms = 5})`)).toThrow(
      'opts.timeout_ms is not supported (use timeout = "500ms" or timeout = 0.5)',
    );
  });
});

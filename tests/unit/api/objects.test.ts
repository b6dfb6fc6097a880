import { afterEach, describe, expect, test } from "bun:test";
import { InterruptedError } from "../../../src/errors/errors.ts";
import { after, monotonic } from "../../../src/sys/op.ts";
import { type Answering, answering } from "./guest.ts";
import { type World, world } from "./world.ts";

let open: World | undefined;
const start = (): { w: World; actor: Answering; lua: (code: string) => unknown[] } => {
  const actor = answering();
  const w = world(actor);
  open = w;
  w.lua('g = provium:vm("g", "default"):boot()');
  return { w, actor, lua: w.lua };
};
afterEach(() => {
  open?.close();
  open = undefined;
});

/** The message of what a call raises. */
const raised = (w: World, call: string): string =>
  String(w.lua(`local ok, err = pcall(function() ${call} end) return ok and "nothing raised" or err`)[0]);

describe("processes", () => {
  test("a wait with 0 polls and kills nothing", () => {
    const { lua, actor } = start();
    expect(lua('p = g:run_async("sleep 9") return p:wait(0)')).toEqual([undefined]);
    expect(actor.processes[0]?.calls).toEqual([]);
    actor.processes[0]?.end("exited", 3);
    expect(lua("return p:wait(0).exit_code, p:wait().exit_code")).toEqual([3, 3]);
  });

  test("a wait that expires says so to everyone who waits for the same process", () => {
    const { lua } = start();
    lua('p = g:run_async("x")');
    expect(
      lua(
        "return provium:parallel(function() return p:wait().status end, function() return p:wait(0.01).status end)",
      ),
    ).toEqual(["timed_out", "timed_out"]);
  });

  test("what is closed while its machine is paused ends when it goes on", () => {
    const { lua, actor } = start();
    lua(
      'p = g:run_async("sleep 9") g:background("sleep 9") s = g:tail_file("/x") g:pause() p:close() s:close()',
    );
    expect(actor.processes[0]?.calls).toEqual([]);
    lua("g:resume()");
    expect(actor.processes[0]?.calls).toEqual(["close 2000"]);
    lua("g:pause() g:resume()");
    expect(actor.processes[0]?.calls).toEqual(["close 2000"]);
  });

  test("what is closed while its machine is paused is gone with it", () => {
    const { lua, actor } = start();
    lua('p = g:run_async("sleep 9") g:pause() p:close() g:kill() g:boot() g:pause() g:resume()');
    expect(actor.processes[0]?.calls).toEqual([]);
  });

  test("an expired wait kills the group and says so, unless it must not", () => {
    const { lua, actor } = start();
    expect(lua('p = g:run_async("x") return p:wait(0.01, {kill = false})')).toEqual([undefined]);
    expect(actor.processes[0]?.calls).toEqual([]);
    expect(lua('local r = p:wait("10ms") return r.status, r.timed_out, r.exit_code')).toEqual([
      "timed_out",
      true,
      -2,
    ]);
    expect(actor.processes[0]?.calls).toEqual(["signal 9 group", "close 0"]);
  });

  const names: [string, number][] = [
    ['"term"', 15],
    ['"SIGKILL"', 9],
    ['"sigInt"', 2],
    ['"hup"', 1],
    ['"quit"', 3],
    ['"stop"', 19],
    ['"cont"', 18],
    ['"usr1"', 10],
    ['"USR2"', 12],
    ['"alrm"', 14],
    ['"pipe"', 13],
    ['"chld"', 17],
    ['"winch"', 28],
    ['"9"', 9],
    ["40", 40],
  ];
  for (const [given, number] of names)
    test(`kill(${given}) sends ${number}`, () => {
      const { lua, actor } = start();
      lua(`g:run_async("x"):kill(${given})`);
      expect(actor.processes[0]?.calls).toEqual([`signal ${number} group`]);
    });

  test("a signal that does not exist is named", () => {
    const { w } = start();
    expect(raised(w, 'g:run_async("x"):kill("trem")')).toContain("unknown signal name `trem`");
    expect(raised(w, 'g:run_async("x"):signal()')).toContain("a number from 0 to 64, got nil");
    expect(raised(w, 'g:run_async("x"):kill(18 / 4)')).toContain("a number from 0 to 64, got number 4.5");
    expect(raised(w, 'g:run_async("x"):kill(18 / 2)')).toBe("nothing raised");
    expect(raised(w, 'g:run_async("x"):kill({})')).toContain("got table");
  });

  test("timeouts of run are refused with a pointer to wait", () => {
    const { w } = start();
    for (const key of ["timeout", "timeout_ms"])
      expect(raised(w, `g:run_async("x", {${key} = 5})`)).toContain("proc:wait(timeout)");
  });

  test("input is counted, and refused once it was closed", () => {
    const { w, lua } = start();
    expect(lua('p = g:run_async("cat") return p:stdin_write("abc")')).toEqual([3]);
    lua("p:close_stdin() p:close_stdin()");
    expect(raised(w, 'p:stdin_write("x")')).toContain("stdin is closed");
  });

  test("the record of an exit outlives the slot", () => {
    const { lua, actor } = start();
    lua('p = g:run_async("x")');
    expect(lua("return p:status().running, p:status().exit_code")).toEqual([true, undefined]);
    actor.processes[0]?.end("signalled", 11);
    lua("p:wait() p:close() p:kill()");
    expect(lua("return p:status().running, p:status().exit_code, p:status().signal, p:pid()")).toEqual([
      false,
      -1,
      11,
      77,
    ]);
    expect(actor.processes[0]?.calls).toEqual(["close 0"]);
  });

  test("the end of the scope ends streams, processes, files and workers in this order", () => {
    const { w, actor } = start();
    w.surface.enterTest("t");
    w.lua(
      'w = g:spawn_worker() f = g:open_file("/x", {read = true}) p = g:run_async("x") s = g:tail_file("/x")',
    );
    actor.notes.length = 0;
    expect(w.lua("return g:open_file_count(), g:open_stream_count(), g:is_quiescent()")).toEqual([
      1,
      1,
      false,
    ]);
    expect([...w.state.reactor.run(w.surface.leaveTest())]).toEqual([]);
    expect(actor.streams[0]?.closed).toBe(1);
    expect(actor.processes[0]?.calls).toEqual(["close 2000"]);
    expect(actor.notes).toEqual(["closeFd 5", "end 2"]);
    expect(w.lua("return g:open_file_count(), g:open_stream_count(), g:is_quiescent()")).toEqual([
      0,
      0,
      true,
    ]);
  });

  test("a vm that was shut down holds nothing open", () => {
    const { lua } = start();
    lua('g:run_async("x") g:open_file("/x", {read = true}) g:tail_file("/x") g:shutdown()');
    expect(lua("return g:open_file_count(), g:open_stream_count(), g:is_quiescent()")).toEqual([0, 0, true]);
  });

  test("a process of an earlier boot is told apart", () => {
    const { w, lua } = start();
    lua('p = g:run_async("x") f = g:open_file("/x", {read = true}) g:reset()');
    expect(raised(w, "p:wait()")).toContain("ended with an earlier boot");
    expect(raised(w, "f:read(1)")).toContain("ended with an earlier boot");
    lua("p:close() f:close()");
    expect(lua("return g:is_quiescent()")).toEqual([true]);
  });
});

describe("files", () => {
  test("a mode must say what the file is for", () => {
    const { w } = start();
    expect(raised(w, 'g:open_file("/x", {create = true})')).toContain(
      "open_file: mode must have read, write or append, got create",
    );
    expect(raised(w, 'g:open_file("/x", {write = true, exclusive = true})')).toContain("needs mode.create");
    expect(raised(w, 'g:open_file("/x", {raed = true})')).toContain("unknown key 'raed'");
  });

  test("the bits of a mode are those of the wire", () => {
    const { lua, actor } = start();
    lua('g:open_file("/x", {read = true, write = true, create = true, truncate = true, exclusive = true})');
    lua('g:open_file("/x", {append = true})');
    expect(actor.notes).toEqual(["open 47", "open 16"]);
  });

  test("everything but close and fd refuses a closed file", () => {
    const { w, lua } = start();
    lua('f = g:open_file("/x", {read = true}) fd = f:fd() f:close() f:close()');
    expect(lua("return fd, f:fd()")).toEqual([5, 0]);
    for (const call of ["read(1)", "read_all()", 'write("x")', "seek(0)", "tell()", "tail_stream()"])
      expect(raised(w, `f:${call}`)).toContain("file is closed");
  });

  test("a wrong whence is named", () => {
    const { w } = start();
    expect(raised(w, 'g:open_file("/x", {read = true}):seek(0, "start")')).toContain(
      "seek: whence must be set/cur/end, got `start`",
    );
  });

  test("read_all reads to the end in pieces of 64 KiB", () => {
    const { lua, actor } = start();
    actor.content.push(new TextEncoder().encode("ab"), new TextEncoder().encode("c"));
    expect(lua('return g:open_file("/x", {read = true}):read_all()')).toEqual(["abc"]);
    expect(actor.notes.slice(1)).toEqual(["read 5 65536", "read 5 65536", "read 5 65536"]);
  });
});

describe("streams", () => {
  const tailing = (...chunks: string[]) => {
    const at = start();
    at.lua('s = g:tail_file("/log")');
    const stream = at.actor.streams[0]!;
    stream.say(...chunks);
    return { ...at, stream };
  };

  test("bytes behind a match come first in the next call, whichever it is", () => {
    const { lua } = tailing("one\ntwo\nthr", "ee\nfour");
    expect(lua('return s:read_until("\\n"), s:read_until("\\n"), s:read_until("e\\n")')).toEqual([
      "one\n",
      "two\n",
      "three\n",
    ]);
    expect(lua("return s:next(0), s:next(0)")).toEqual(["four", undefined]);
  });

  test("a pattern is found across chunks of one byte", () => {
    const { lua } = tailing(..."xxababacyy");
    expect(lua('return s:read_until("abac")')).toEqual(["xxababac"]);
  });

  test("a search that fails loses nothing and says what it saw", () => {
    const { w, lua } = tailing("abc", "def");
    const message = raised(w, 's:read_until("zzz", 0.01)');
    expect(message).toContain("read_until timed out waiting for `zzz`");
    expect(message).toContain('6 bytes, the last: "abcdef"');
    expect(lua('s:expect("cd") return s:next(0), s:eof()')).toEqual(["ef", false]);
  });

  test("a stream of an earlier boot has ended", () => {
    const { w, lua, stream } = tailing();
    stream.ended = true;
    stream.failure = new Error("vm `g` was reset");
    expect(raised(w, "s:next(0)")).toContain("was reset");
    lua("g:reset()");
    expect(lua("return s:next(0), s:eof()")).toEqual([undefined, true]);
    expect(raised(w, 's:read_until("x")')).toContain("stream EOF");
  });

  test("the end is told apart from a quiet moment", () => {
    const { w, lua, stream } = tailing("abc");
    expect(lua('return s:read_until("b"), s:eof()')).toEqual(["ab", false]);
    stream.ended = true;
    expect(raised(w, 's:expect("x")')).toContain("stream EOF");
    expect(lua("return s:eof(), s:next(), s:eof(), s:next()")).toEqual([false, "c", true, undefined]);
  });

  test("a closed stream drops what is pending, and raises where something was expected", () => {
    const { w, lua, stream } = tailing("abc");
    lua("s:close() s:close()");
    expect(stream.closed).toBe(1);
    expect(lua("return s:next(), #s:drain(), s:eof()")).toEqual([undefined, 0, true]);
    expect(raised(w, 's:expect("x")')).toContain("stream closed");
    lua("c = g:console():read() c:close()");
    expect(raised(w, 'c:read_until("x")')).toContain("console closed");
  });

  test("a drain gives all chunks", () => {
    const { lua } = tailing("a", "b", "c");
    expect(lua('return table.concat(s:drain(0.02), "|")')).toEqual(["a|b|c"]);
  });

  test("a stream knows the line that made it", () => {
    const { lua } = start();
    expect(
      lua('\n\nlocal s = g:tail_file("/x") local at = s:creation_site() return at.file, at.line, s.kind'),
    ).toEqual(["a.test.lua", 3, "tail_file"]);
  });

  test("a stream knows the test that made it", () => {
    const { w, lua } = start();
    lua('s = g:tail_file("/x")');
    w.surface.enterTest("reads");
    expect(lua('return s.test_name, g:tail_file("/x").test_name, s.constructor')).toEqual([
      undefined,
      "reads",
      undefined,
    ]);
  });

  const starts: [string, unknown][] = [
    ["nil", "end"],
    ['"end"', "end"],
    ['"beginning"', { offset: 0 }],
    ['"start"', { offset: 0 }],
    ["12.9", { offset: 12 }],
    ["-200.5", { fromEnd: 200 }],
  ];
  for (const [given, wanted] of starts)
    test(`a tail may start at ${given}`, () => {
      const { lua, actor } = start();
      lua(`g:tail_file("/x", {start = ${given}})`);
      expect(actor.notes).toEqual([`tail ${JSON.stringify(wanted)}`]);
    });

  test("a start that is none is named", () => {
    const { w } = start();
    expect(raised(w, 'g:tail_file("/x", {start = "top"})')).toContain('or an offset, got string "top"');
    expect(raised(w, 'g:tail_file("/x", {start = 0/0})')).toContain("or an offset, got number NaN");
  });

  test("several console streams read the same bytes, each from where it began", () => {
    const { w, lua } = start();
    lua("c1 = g:console():read()");
    w.machines[0]!.text += "hello\n";
    lua("c2 = g:console():read()");
    w.machines[0]!.text += "world\n";
    expect(
      lua('return c1:read_until("\\n"), c1:read_until("\\n"), c2:read_until("\\n"), c2:next(0)'),
    ).toEqual(["hello\n", "world\n", "world\n", undefined]);
    lua("g:shutdown()");
    expect(lua("return c1:eof(), c1:next()")).toEqual([true, undefined]);
  });

  test("the output of a process is one stream", () => {
    const { lua, actor } = start();
    lua('p = g:run_async("x") s = p:stdout_stream() assert(p:stdout_stream() == s)');
    actor.processes[0]?.outputs[0].say("line\n");
    expect(lua('return s:read_until("\\n"), s.detail, p:stderr_stream().kind')).toEqual([
      "line\n",
      "handle=1",
      "proc_stderr_stream",
    ]);
  });
});

describe("workers", () => {
  test("a worker has every method that acts in the guest, in both flavours", () => {
    const { lua } = start();
    expect(
      lua(
        "w = g:spawn() l = g:spawn_worker{thread = true} return w:syscall(39), l:syscall(39).ret, w == w:as('lab'), w == l, w:handle(), l:handle()",
      ),
    ).toEqual([0, 0, true, false, 2, 3]);
  });

  test("kill without an argument ends a classic worker, and signals the processes of a lab worker", () => {
    const { w, lua, actor } = start();
    lua('l = g:spawn_worker() p = l:run_async("x") other = g:run_async("x") l:kill()');
    expect(actor.processes.map(({ calls }) => calls)).toEqual([["signal 15 group"], []]);
    expect(lua("return l:join().exited, l:alive()")).toEqual([1, true]);
    lua("c = g:spawn() c:kill() c:kill()");
    expect(actor.notes).toEqual(["end 3"]);
    expect(raised(w, "c:syscall(39)")).toContain("worker 3 of vm `g` has ended; syscall needs one that runs");
    expect(raised(w, "l:kill({})")).toContain("got table");
  });

  test("a descriptor is refused where it means another file", () => {
    const { w, lua } = start();
    lua('f = g:open_file("/x", {read = true}) fork = g:spawn() thread = g:spawn{thread = true}');
    lua("thread:fd_stream(f) g:fd_stream(f)");
    expect(raised(w, "fork:fd_stream(f)")).toContain("is not open in worker 2");
  });

  test("files that a thread leaves behind are closed by the task that made it, those of a fork are gone", () => {
    const { lua, actor } = start();
    lua('local w = g:spawn{thread = true} f = w:open_file("/x", {read = true}) w:kill() f:close()');
    expect(actor.notes).toEqual(["open 1", "end 2", "closeFd 5"]);
    lua('local w = g:spawn() f = w:open_file("/x", {read = true}) w:kill() f:close()');
    expect(actor.notes.slice(3)).toEqual(["open 1", "end 3"]);
  });
});

describe("calls under way", () => {
  test("an answer is given in the shape of the flavour, as often as it is asked for", () => {
    const { lua, actor } = start();
    lua('a = g:syscall_async(1) b = g:as("classic"):syscall_async(1)');
    expect(lua("return a:done()")).toEqual([false]);
    for (const call of actor.pendings) call.result = { ret: -9, out: [] };
    expect(lua("return a:done(), a:await().errno, a:await().ret, b:await(0)")).toEqual([true, 9, -1, -9]);
  });

  test("an expired await raises and the call goes on; a cancelled one is over", () => {
    const { w, lua, actor } = start();
    lua("a = g:syscall_async(202)");
    expect(raised(w, "a:await(0.01)")).toContain("system call 202 of vm `g` has not returned within 0.01 s");
    expect(actor.pendings[0]?.cancelled).toBe(0);
    lua("a:cancel() a:cancel()");
    expect(actor.pendings[0]?.cancelled).toBe(1);
    expect(raised(w, "a:await()")).toContain("was cancelled");
  });
});

describe("barriers", () => {
  test("tasks meet, and the barrier serves again", () => {
    const { lua } = start();
    expect(
      lua(`local log = {}
      local function side(name) return function()
        for round = 1, 2 do
          log[#log + 1] = name .. round
          assert(provium:barrier("b", 2, 5) == true)
        end
      end end
      provium:parallel(side("x"), side("y"))
      return table.concat(log, " ")`),
    ).toEqual(["x1 y1 y2 x2"]);
  });

  test("an expired caller gets false and counts no more", () => {
    const { lua } = start();
    expect(
      lua(
        'local a = provium:barrier("b", 2, 0.01) local b = provium:barrier("b", 2, 0.01) return a, b, provium:barrier("b", 1)',
      ),
    ).toEqual([false, false, true]);
  });

  test("two counts at one barrier are a mistake", () => {
    const { w } = start();
    expect(
      raised(
        w,
        `local begun
        provium:go(function() begun = true provium:barrier("b", 3, 60) end)
        wait_until(function() return begun end, { timeout = 60 })
        provium:barrier("b", 2, 1)`,
      ),
    ).toContain("already waits for 3 callers, and this one asks for 2");
    expect(raised(w, 'provium:barrier("b", 0)')).toContain("count must be 1 or more");
  });
});

describe("what an interruption has ended", () => {
  const cases: readonly [string, string][] = [
    ["g:clock():sleep(60)", "clock:sleep"],
    ["provium:go(function() g:clock():sleep(60) end):wait()", "task:wait"],
    ['provium:barrier("meet", 2)', "barrier `meet` for 2 callers"],
    [
      'provium:parallel(function() provium:barrier("meet", 3) end, function() g:clock():sleep(60) end)',
      "barrier `meet` for 3 callers, clock:sleep",
    ],
    ["wait_until(function() return false end, { timeout = 60 })", "wait_until"],
    ["wait_until(function() g:clock():sleep(60) end, { timeout = 60 })", "clock:sleep"],
  ];
  for (const [code, place] of cases)
    test(`is told of ${code}`, () => {
      const { w, lua } = start();
      const at = after(30);
      w.reactor.setInterrupt({
        check: () => (monotonic() < at ? undefined : new InterruptedError("time is over")),
        deadline: () => at,
      });
      expect(() => lua(code)).toThrow(`time is over inside ${place}`);
      w.reactor.setInterrupt(undefined);
    });
});

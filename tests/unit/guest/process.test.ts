import { describe, expect, test } from "bun:test";
import { GuestError, ProtocolError } from "../../../src/errors/errors.ts";
import { UNCLAIMED_BYTES, WINDOW_BYTES } from "../../../src/guest/output.ts";
import type { Command, Guest, GuestProcess } from "../../../src/lab/ports.ts";
import { after, NEVER, type Wait } from "../../../src/sys/op.ts";
import { type Asked, bytes, FakeAgent, SOON, text } from "./fake-agent.ts";

const command = (changes: Partial<Command> = {}): Command => ({
  argv: [bytes("prog")],
  env: [],
  envClear: false,
  stdinOpen: false,
  timeoutMs: 0,
  ...changes,
});

const started = (agent: FakeAgent, guest: Guest, changes: Partial<Command> = {}): GuestProcess => {
  agent.on("PROC_START", () => ({ pid: 42 }));
  return agent.run(guest.main.start(command(changes)));
};

const output = (
  agent: FakeAgent,
  process: number,
  stream: 1 | 2,
  data: string | Uint8Array,
  eof = false,
): void => agent.push("DATA", { process, stream, data: typeof data === "string" ? bytes(data) : data, eof });

const exit = (agent: FakeAgent, process: number, code = 0): void =>
  agent.push("EXIT", { process, how: 0, code, timed_out: false });

const granted = (asked: Asked[], stream: number): number =>
  asked
    .filter(({ name, payload }) => name === "CREDIT" && payload.stream === stream)
    .reduce((sum, { payload }) => sum + Number(payload.bytes), 0);

/** Of a command that has ended. */
const ENDED = { pid: 42, running: false, how: 0, code: 0 };

describe("a run", () => {
  test("collects both outputs and the exit, and frees the slot with the next request", () => {
    using agent = new FakeAgent();
    const guest = agent.session();
    agent.on("ECHO", ({ data }) => ({ data }));
    agent.on("PROC_START", ({ process }, asked) => {
      // Output may overtake the answer to the start.
      output(agent, Number(process), 1, "hel");
      agent.ok("PROC_START", asked, { pid: 7 });
      output(agent, Number(process), 2, "oops", true);
      exit(agent, Number(process), 3);
      output(agent, Number(process), 1, "lo", true);
      return undefined;
    });
    const result = agent.run(guest.main.run(command({ cwd: bytes("/tmp") })));
    expect(text(result.stdout)).toBe("hello");
    expect(text(result.stderr)).toBe("oops");
    expect(result.how).toBe("exited");
    expect(result.code).toBe(3);
    expect(result.timedOut).toBe(false);
    agent.run(guest.echo(bytes("next")));
    expect(agent.asked.map(({ name }) => name)).toEqual(["PROC_START", "PROC_CLOSE", "ECHO"]);
  });

  test("a command that cannot be executed is a guest error, and nothing is left", () => {
    using agent = new FakeAgent();
    const guest = agent.session();
    agent.refuse("PROC_START", 2, "execve");
    expect(() => agent.run(guest.main.run(command()))).toThrow(
      "execve `prog`: No such file or directory (ENOENT)",
    );
    agent.on("ECHO", ({ data }) => ({ data }));
    agent.run(guest.echo(bytes("x")));
    expect(agent.of("PROC_CLOSE")).toEqual([]);
  });

  test("an interrupted run ends the command", () => {
    using agent = new FakeAgent();
    const guest = agent.session();
    agent.on("PROC_START", () => ({ pid: 1 }));
    agent.reactor.setInterrupt({
      check: () => (agent.of("PROC_START").length > 0 ? new Error("stop") : undefined),
      deadline: () => after(5),
    });
    expect(() => agent.run(guest.main.run(command()))).toThrow("stop");
    agent.reactor.setInterrupt(undefined);
    agent.wait(() => agent.of("PROC_CLOSE").length === 1);
  });

  test("a start that is given up while it runs is ended when its answer comes late", () => {
    using agent = new FakeAgent();
    const guest = agent.session();
    const op = guest.main.start(command());
    op.next();
    expect(() => op.throw(new Error("stop"))).toThrow("stop");
    agent.wait(() => agent.of("CANCEL").length === 1);
    agent.ok("PROC_START", agent.of("PROC_START")[0] as Asked, { pid: 9 });
    agent.wait(() => agent.of("PROC_CLOSE").length === 1);
  });

  test("a start that is given up when its answer has just come is ended", () => {
    using agent = new FakeAgent();
    const guest = agent.session();
    agent.on("PROC_START", () => ({ pid: 9 }));
    const op = guest.main.start(command());
    const wait = op.next().value as Wait;
    agent.wait(() => wait.ready());
    expect(() => op.throw(new Error("stop"))).toThrow("stop");
    agent.wait(() => agent.of("PROC_CLOSE").length === 1);
    expect(agent.of("CANCEL")).toEqual([]);
  });
});

describe("waiting", () => {
  test("a wait with a deadline returns nothing while the process runs, and the result afterwards", () => {
    using agent = new FakeAgent();
    const process = started(agent, agent.session());
    expect(agent.run(process.wait(after(20)))).toBeUndefined();
    output(agent, process.handle, 1, "", true);
    output(agent, process.handle, 2, "", true);
    exit(agent, process.handle);
    expect(agent.run(process.wait(NEVER))?.code).toBe(0);
    expect(agent.run(process.wait(NEVER))?.code).toBe(0);
  });

  test("a wait without any time sees an exit that has already arrived", () => {
    using agent = new FakeAgent();
    const process = started(agent, agent.session());
    output(agent, process.handle, 1, "", true);
    output(agent, process.handle, 2, "", true);
    exit(agent, process.handle, 5);
    expect(agent.run(process.wait(0))?.code).toBe(5);
  });

  test("an orphan that holds the pipe does not hold the wait", () => {
    using agent = new FakeAgent();
    const process = started(agent, agent.session());
    agent.on("PROC_STATUS", () => ENDED);
    output(agent, process.handle, 1, "from the command");
    exit(agent, process.handle);
    const result = agent.run(process.wait(NEVER));
    expect(text(result?.stdout as Uint8Array)).toBe("from the command");
  });

  test("what a busy host keeps the agent from sending for a while after the exit is not lost", () => {
    using agent = new FakeAgent();
    const process = started(agent, agent.session());
    const parts = ["two ", "three ", "four"];
    agent.on("PROC_STATUS", (_, asked) => {
      agent.ok("PROC_STATUS", asked, ENDED);
      const part = parts.shift();
      if (part !== undefined) output(agent, process.handle, 1, part);
      return undefined;
    });
    output(agent, process.handle, 1, "one ");
    exit(agent, process.handle);
    const result = agent.run(process.wait(NEVER));
    expect(text(result?.stdout as Uint8Array)).toBe("one two three four");
  });

  test("an agent that has told the end of both outputs and forgotten the command does not fail the wait", () => {
    using agent = new FakeAgent();
    const process = started(agent, agent.session());
    exit(agent, process.handle, 3);
    agent.on("PROC_STATUS", (_, asked) => {
      output(agent, process.handle, 1, "all", true);
      output(agent, process.handle, 2, "", true);
      agent.error(asked, 3, "status");
      return undefined;
    });
    const result = agent.run(process.wait(NEVER));
    expect([result?.code, text(result?.stdout as Uint8Array)]).toEqual([3, "all"]);
  });

  test("the end of the session ends the wait with its reason", () => {
    using agent = new FakeAgent();
    const guest = agent.session();
    const process = started(agent, guest);
    agent.channel.close();
    expect(() => agent.run(process.wait(after(SOON)))).toThrow("the agent is gone");
    expect(guest.ended).toBeDefined();
  });
});

describe("output windows", () => {
  test("without anybody waiting, credit stops at the bound and the agent can send no more", () => {
    using agent = new FakeAgent();
    const process = started(agent, agent.session());
    const piece = new Uint8Array(WINDOW_BYTES / 4);
    let sent = 0;
    for (;;) {
      const room = WINDOW_BYTES + granted(agent.asked, 1) - sent;
      if (room < piece.byteLength) break;
      output(agent, process.handle, 1, piece);
      sent += piece.byteLength;
      agent.wait(() => process.collected(1).byteLength === sent);
      agent.reactor.poll();
      agent.reactor.poll();
    }
    expect(sent).toBeGreaterThanOrEqual(UNCLAIMED_BYTES);
    expect(sent).toBeLessThanOrEqual(UNCLAIMED_BYTES + 2 * WINDOW_BYTES);
    // Somebody who waits wants all of it.
    agent.run(process.wait(after(20)));
    agent.wait(() => WINDOW_BYTES + granted(agent.asked, 1) - sent >= piece.byteLength);
  });

  test("an agent that sends more than it may breaks the protocol", () => {
    using agent = new FakeAgent();
    const process = started(agent, agent.session());
    output(agent, process.handle, 1, new Uint8Array(WINDOW_BYTES + 1));
    expect(() => agent.run(process.wait(after(SOON)))).toThrow(ProtocolError);
  });

  test("output after the end of a stream breaks the protocol", () => {
    using agent = new FakeAgent();
    const process = started(agent, agent.session());
    output(agent, process.handle, 2, "end", true);
    output(agent, process.handle, 2, "more");
    expect(() => agent.run(process.wait(after(SOON)))).toThrow(ProtocolError);
  });

  test("what was collected can be looked at without taking it", () => {
    using agent = new FakeAgent();
    const process = started(agent, agent.session());
    for (let i = 0; i < 200; i++) output(agent, process.handle, 1, `${i}\n`);
    const all = Array.from({ length: 200 }, (_, i) => `${i}\n`).join("");
    agent.wait(() => process.collected(1).byteLength === all.length);
    output(agent, process.handle, 1, "last");
    agent.wait(() => process.collected(1).byteLength === all.length + 4);
    expect(text(process.collected(1))).toBe(`${all}last`);
    expect(process.collected(2).byteLength).toBe(0);
  });
});

describe("input", () => {
  test("input too large for the start follows piece by piece and is closed at the end", () => {
    using agent = new FakeAgent();
    const guest = agent.session();
    const stdin = new Uint8Array(1_000_000).map((_, i) => i % 251);
    agent.on("PROC_STDIN", () => ({}));
    started(agent, guest, { stdin });
    agent.wait(() => agent.of("PROC_STDIN").at(-1)?.payload.close === true);
    const parts = [agent.of("PROC_START")[0], ...agent.of("PROC_STDIN")].map(
      (asked) => (asked?.payload.stdin ?? asked?.payload.data) as Uint8Array,
    );
    expect(Buffer.concat(parts).equals(stdin)).toBe(true);
    expect(agent.of("PROC_START")[0]?.payload.stdin_open).toBe(true);
  });

  test("a command that does not read its input is no error", () => {
    using agent = new FakeAgent();
    const guest = agent.session();
    agent.refuse("PROC_STDIN", 32, "write");
    const process = started(agent, guest, { stdin: new Uint8Array(1_000_000) });
    agent.wait(() => agent.of("PROC_STDIN").length === 1);
    output(agent, process.handle, 1, "", true);
    output(agent, process.handle, 2, "", true);
    exit(agent, process.handle);
    expect(agent.run(process.wait(NEVER))?.code).toBe(0);
    expect(agent.of("PROC_STDIN").length).toBe(1);
  });

  test("a write by the test after the end of the process is a guest error", () => {
    using agent = new FakeAgent();
    const guest = agent.session();
    agent.refuse("PROC_STDIN", 32, "write");
    const process = started(agent, guest, { stdinOpen: true });
    expect(() => agent.run(process.stdinWrite(bytes("x")))).toThrow(GuestError);
  });
});

describe("closing", () => {
  test("close asks once however often it is called", () => {
    using agent = new FakeAgent();
    const process = started(agent, agent.session());
    agent.on("PROC_CLOSE", () => ({}));
    agent.run(process.close(50));
    agent.run(process.close(50));
    expect(agent.of("PROC_CLOSE").map(({ payload }) => payload.grace_ms)).toEqual([50]);
  });

  test("closing after the session has ended is no error", () => {
    using agent = new FakeAgent();
    const guest = agent.session();
    const process = started(agent, guest);
    guest.close(new Error("the machine died"));
    agent.run(process.close(50));
  });

  test("nothing may come from a process that was closed", () => {
    using agent = new FakeAgent();
    const guest = agent.session();
    const process = started(agent, guest);
    agent.on("PROC_CLOSE", () => ({}));
    agent.run(process.close(0));
    output(agent, process.handle, 1, "ghost");
    agent.wait(() => guest.ended !== undefined);
    expect(guest.ended).toBeInstanceOf(ProtocolError);
  });
});

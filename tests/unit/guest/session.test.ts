import { describe, expect, test } from "bun:test";
import { openLocal } from "../../../src/channel/local.ts";
import {
  ApiError,
  GuestError,
  InterruptedError,
  ProtocolError,
  TimeoutError,
  VmDeadError,
} from "../../../src/errors/errors.ts";
import { encode, Frame } from "../../../src/guest/codec.ts";
import { MAX_FRAME_BYTES, MESSAGES, PROTOCOL_VERSION, SYNC_PREAMBLE } from "../../../src/guest/messages.ts";
import { openGuest } from "../../../src/guest/session.ts";
import { socketPair, writeSome } from "../../../src/sys/libc.ts";
import { after, called, type Op } from "../../../src/sys/op.ts";
import { Reactor } from "../../../src/sys/reactor.ts";
import { Timer } from "../../../src/sys/timer.ts";
import { bytes, FakeAgent, SOON, text } from "./fake-agent.ts";

const thrown = (act: () => unknown): Error => {
  try {
    act();
  } catch (error) {
    return error as Error;
  }
  throw new Error("nothing was thrown");
};

describe("opening", () => {
  test("READY becomes the identity of the guest", () => {
    using agent = new FakeAgent();
    const guest = agent.session();
    expect(guest.identity).toEqual({
      protocol: PROTOCOL_VERSION,
      agentVersion: "0.1.0",
      kernelRelease: "6.1.0-test",
      arch: "x86_64",
      features: ["mount_vfs"],
      boottimeNs: 1_500_000_000,
    });
  });

  test("another protocol version is refused and both are named", () => {
    using agent = new FakeAgent();
    agent.ready({ protocol: 7 });
    const error = thrown(() => agent.run(openGuest(agent.host, after(SOON))));
    expect(error).toBeInstanceOf(ProtocolError);
    expect(error.message).toContain("protocol 7");
    expect(error.message).toContain(`protocol ${PROTOCOL_VERSION}`);
  });

  test("another version is recognised even when its READY has other fields", () => {
    using agent = new FakeAgent();
    // [1, 0, 0, [9, true]]
    agent.channel.send(Uint8Array.of(0x94, MESSAGES.READY.kind, 0, 0, 0x92, 9, 0xc3));
    const error = thrown(() => agent.run(openGuest(agent.host, after(SOON))));
    expect(error.message).toContain("protocol 9");
  });

  test("a first message that is not READY is refused by name", () => {
    using agent = new FakeAgent();
    agent.push("DATA", { process: 1, stream: 1, data: bytes("x"), eof: false });
    const error = thrown(() => agent.run(openGuest(agent.host, after(SOON))));
    expect(error).toBeInstanceOf(ProtocolError);
    expect(error.message).toContain("DATA");
  });

  test("a silent agent costs the deadline and no more", () => {
    using agent = new FakeAgent();
    const error = thrown(() => agent.run(openGuest(agent.host, after(30))));
    expect(error).toBeInstanceOf(TimeoutError);
    agent.wait(() => agent.hungUp);
  });

  test("an agent that goes away before READY fails at once", () => {
    using agent = new FakeAgent();
    agent.channel.close();
    const error = thrown(() => agent.run(openGuest(agent.host, after(SOON))));
    expect(error).toBeInstanceOf(VmDeadError);
  });

  test.each([
    ["text instead of frames", bytes("Welcome to Buildroot\nlogin: ")],
    ["zeros", new Uint8Array(64)],
    ["a huge length", Uint8Array.of(0x7f, 0xff, 0xff, 0xff, 0)],
    ["a frame of garbage", Uint8Array.of(0, 0, 0, 4, 0xc1, 0xc1, 0xc1, 0xc1)],
  ])("%s is a protocol error", (_, garbage) => {
    const reactor = new Reactor();
    const [ours, theirs] = socketPair();
    writeSome(theirs, garbage);
    const error = thrown(() => reactor.run(openGuest(openLocal(reactor, ours), after(SOON))));
    expect(error).toBeInstanceOf(ProtocolError);
  });
});

describe("opening over a serial port", () => {
  /** The frames that follow each preamble in what the host sent. */
  const magic = Buffer.from(SYNC_PREAMBLE);

  test("READY counts only with the nonce of the SYNC", () => {
    using agent = new FakeAgent(true);
    const op = openGuest(agent.host, after(SOON));
    let answered = 0;
    // The fake end is a plain stream: it hears the preamble as a wrong length, so it listens raw.
    const raw = rawPeer(agent);
    raw.onSync = (nonce) => {
      raw.answer(magic, Number(nonce) === 0 ? 1n : 0n);
      raw.answer(magic, nonce);
      answered++;
    };
    const guest = agent.run(op);
    expect(answered).toBeGreaterThanOrEqual(1);
    expect(guest.identity.kernelRelease).toBe("6.1.0-test");
  });

  test("SYNC is repeated with a fresh nonce, and READY for an older one is skipped", () => {
    using agent = new FakeAgent(true);
    const nonces: bigint[] = [];
    const raw = rawPeer(agent);
    raw.onSync = (nonce) => {
      nonces.push(nonce);
      if (nonces.length < 2) return;
      raw.answer(magic, nonces[0] as bigint);
      raw.answer(magic, nonce);
      // The session goes on: were the first READY taken, the second would be a message out of place.
    };
    const guest = agent.run(openGuest(agent.host, after(SOON)));
    agent.reactor.poll();
    expect(guest.ended).toBeUndefined();
    expect(new Set(nonces).size).toBe(nonces.length);
  });

  test("an agent whose answer takes longer than the first wait is waited for longer each time", () => {
    using agent = new FakeAgent(true);
    const raw = rawPeer(agent);
    raw.onSync = (nonce) => void new Timer(agent.reactor, 600, () => raw.answer(magic, nonce));
    expect(agent.run(openGuest(agent.host, after(SOON))).ended).toBeUndefined();
  });
});

interface RawPeer {
  onSync: (nonce: bigint) => void;
  answer(magic: Uint8Array, nonce: bigint): void;
}

/** The agent's end of a serial pair at the level of bytes: finds SYNC, answers READY. */
const rawPeer = (agent: FakeAgent): RawPeer => {
  const peer: RawPeer = {
    onSync: () => {},
    answer(magic, nonce) {
      const parts = encode("READY", 0, 0, { ...agent.readyFields(), nonce });
      const body = Buffer.concat(parts);
      const head = Buffer.alloc(4);
      head.writeUInt32BE(body.byteLength);
      agent.raw(Buffer.concat([magic, head, body]));
    },
  };
  agent.listenRaw((data) => {
    let at = data.indexOf(Buffer.from(SYNC_PREAMBLE));
    while (at >= 0) {
      const start = at + SYNC_PREAMBLE.length;
      const length = data.readUInt32BE(start);
      const frame = new Frame(data.subarray(start + 4, start + 4 + length));
      peer.onSync(BigInt(frame.payload("SYNC").nonce));
      at = data.indexOf(Buffer.from(SYNC_PREAMBLE), start);
    }
  });
  return peer;
};

describe("requests", () => {
  test("answers find their requests in any order", () => {
    using agent = new FakeAgent();
    const guest = agent.session();
    agent.on("ECHO", () => undefined);
    const ask = function* (): Op<string[]> {
      const first = guest.echo(bytes("one"));
      const second = guest.echo(bytes("two"));
      first.next();
      second.next();
      agent.wait(() => agent.of("ECHO").length === 2);
      const [one, two] = agent.of("ECHO");
      if (one === undefined || two === undefined) throw new Error("two requests were expected");
      agent.ok("ECHO", two, { data: bytes("2") });
      agent.ok("ECHO", one, { data: bytes("1") });
      return [text(yield* first), text(yield* second)];
    };
    expect(agent.run(ask())).toEqual(["1", "2"]);
  });

  test("a refusal names the operation, the object and the errno in words", () => {
    using agent = new FakeAgent();
    const guest = agent.session();
    agent.refuse("FILE_GET", 2, "open");
    const error = thrown(() => agent.run(guest.main.readFile(bytes("/etc/x")))) as GuestError;
    expect(error).toBeInstanceOf(GuestError);
    expect(error.message).toBe("open `/etc/x`: No such file or directory (ENOENT)");
    expect(error.errno).toBe(2);
    expect(error.where).toBe("the main task: read_file");
  });

  test("a directory that a command cannot start in is named, not the command", () => {
    using agent = new FakeAgent();
    const guest = agent.session();
    agent.refuse("PROC_START", 2, "chdir", "cannot enter `/none`: No such file or directory");
    const command = { argv: [bytes("/bin/sh")], env: [], envClear: false, cwd: bytes("/none") };
    const error = thrown(() =>
      agent.run(guest.main.run({ ...command, stdin: undefined, stdinOpen: false, timeoutMs: 0 })),
    );
    expect(error.message).toBe("chdir: cannot enter `/none`: No such file or directory (ENOENT)");
  });

  test("a refusal of the agent's own keeps the agent's words, made harmless", () => {
    using agent = new FakeAgent();
    const guest = agent.session();
    agent.refuse("STAT", 0, "stat", "path \u001b[31mtoo long\u0007");
    const error = thrown(() => agent.run(guest.main.stat(bytes("/x"), true)));
    expect(error.message).toBe("stat `/x`: path ?[31mtoo long?");
  });

  test("an integer beyond 53 bits comes back exact", () => {
    using agent = new FakeAgent();
    const guest = agent.session();
    agent.on("SYSCALL", () => ({ ret: -(2n ** 62n), out: [] }));
    const { ret } = agent.run(guest.main.syscall({ nr: 1, args: [], bufs: [], ptrs: [], nested: [] }));
    expect(ret).toBe(-(2n ** 62n));
  });

  test("nested triples are flat on the wire", () => {
    using agent = new FakeAgent();
    const guest = agent.session();
    agent.on("SYSCALL", () => ({ ret: 0, out: [] }));
    const nested = [
      [0, 1, 8],
      [0, 2, 24],
    ] as const;
    agent.run(guest.main.syscall({ nr: 20, args: [1n, 2], bufs: [], ptrs: [], nested }));
    expect(agent.of("SYSCALL")[0]?.payload.nested).toEqual([0, 1, 8, 0, 2, 24]);
  });

  test("a call that is interrupted is cancelled at the agent, and its late answer disturbs nobody", () => {
    using agent = new FakeAgent();
    const guest = agent.session();
    agent.on("CLOCK_GET", () => undefined).on("ECHO", ({ data }) => ({ data }));
    const call = guest.main.clockGet();
    call.next();
    const stop = new Error("deadline of the test");
    expect(thrown(() => call.throw(stop))).toBe(stop);
    agent.wait(() => agent.of("CANCEL").length === 1);
    const asked = agent.of("CLOCK_GET")[0];
    expect(agent.of("CANCEL")[0]?.id).toBe(asked?.id as number);
    if (asked !== undefined) agent.ok("CLOCK_GET", asked, { ns: 5 });
    expect(text(agent.run(guest.echo(bytes("still here"))))).toBe("still here");
  });

  test("a request that no frame can hold is refused by name and size, and the session goes on", () => {
    using agent = new FakeAgent();
    const guest = agent.session();
    agent.on("ECHO", ({ data }) => ({ data }));
    const error = thrown(() => agent.run(guest.main.stat(new Uint8Array(MAX_FRAME_BYTES), true)));
    expect(error).toBeInstanceOf(ApiError);
    expect(error.message).toMatch(/^stat: the request has 168427\d\d bytes; .* holds at most 16842752$/);
    expect(text(agent.run(guest.echo(bytes("still here"))))).toBe("still here");
    expect(agent.of("STAT")).toEqual([]);
  });

  test("what interrupts a call is told which one it was, and of whom", () => {
    using agent = new FakeAgent();
    const guest = agent.session();
    agent.on("SYSCALL", () => undefined);
    const request = { nr: 34, args: [], bufs: [], ptrs: [], nested: [] };
    const call = called(guest.main.syscall(request), "syscall", "vm `a`");
    call.next();
    const stop = new InterruptedError("the deadline has passed");
    expect(thrown(() => call.throw(stop))).toBe(stop);
    expect(stop.message).toBe("the deadline has passed inside syscall 34 of vm `a`");
  });

  test("shutdown is acknowledged by READY with the request's id, as in the classic protocol", () => {
    using agent = new FakeAgent();
    const guest = agent.session();
    agent.on("SHUTDOWN", (_, asked) => {
      agent.channel.send(...encode("READY", 0, asked.id, agent.readyFields()));
      return undefined;
    });
    agent.run(guest.shutdown(100, after(SOON)));
    expect(agent.of("SHUTDOWN")[0]?.payload.sync_ms).toBe(100);
  });

  test("shutdown without an acknowledgement ends at its deadline", () => {
    using agent = new FakeAgent();
    const guest = agent.session();
    expect(() => agent.run(guest.shutdown(100, after(20)))).toThrow(TimeoutError);
  });
});

describe("the end of a session", () => {
  const pending = (agent: FakeAgent): { error: () => Error; ended: () => Error | undefined } => {
    const guest = agent.session();
    agent.on("ECHO", () => undefined);
    let told: Error | undefined;
    guest.onEnd((reason) => {
      told = reason;
    });
    return {
      error: () => thrown(() => agent.run(guest.echo(bytes("?")))),
      ended: () => told ?? guest.ended,
    };
  };

  test("an agent that closes fails what waits on it, and later calls too", () => {
    using agent = new FakeAgent();
    const call = pending(agent);
    agent.on("ECHO", () => {
      agent.channel.close();
      return undefined;
    });
    const error = call.error();
    expect(error).toBeInstanceOf(VmDeadError);
    expect(call.ended()).toBe(error);
    expect(call.error()).toBe(error);
  });

  const wrong: [string, (agent: FakeAgent, id: number) => void, string][] = [
    [
      "an answer to a request that was never made",
      (agent, id) => agent.channel.send(Uint8Array.of(0x94, 3, 0, id + 5, 0x90)),
      "no such request",
    ],
    [
      "an answer of a wrong type",
      (agent, id) => agent.channel.send(Uint8Array.of(0x94, 3, 0, id, 0x91, 7)),
      "the answer to ECHO, field data",
    ],
    [
      "an answer without its field",
      (agent, id) => agent.channel.send(Uint8Array.of(0x94, 3, 0, id, 0x90)),
      "field data is missing",
    ],
    ["an unknown kind", (agent) => agent.channel.send(Uint8Array.of(0x94, 99, 0, 0, 0x90)), "kind 99"],
    ["a request of the host", (agent) => agent.channel.send(...encode("CLOCK_GET", 0, 0, {})), "CLOCK_GET"],
    [
      "output of a process that does not exist",
      (agent) => agent.push("DATA", { process: 12, stream: 1, data: bytes("x"), eof: false }),
      "process 12",
    ],
    [
      "READY as the answer to something else",
      (agent, id) => agent.channel.send(...encode("READY", 0, id, agent.readyFields())),
      "answered ECHO with READY",
    ],
    [
      "the agent's own complaint about us",
      (agent) => agent.push("ERROR", { errno: 0, operation: bytes("frame"), message: bytes("too long") }),
      "too long",
    ],
  ];
  test.each(wrong)("%s is a protocol error that says so", (_, misbehave, words) => {
    using agent = new FakeAgent();
    const call = pending(agent);
    agent.on("ECHO", (_payload, asked) => {
      misbehave(agent, asked.id);
      return undefined;
    });
    const error = call.error();
    expect(error).toBeInstanceOf(ProtocolError);
    expect(error.message).toContain(words);
    expect(call.ended()).toBe(error);
  });

  test("closing with a reason fails what waits with that reason", () => {
    using agent = new FakeAgent();
    const guest = agent.session();
    const op = guest.echo(bytes("?"));
    op.next();
    const reason = new VmDeadError("kernel panic", "");
    guest.close(reason);
    guest.close(new Error("too late"));
    expect(thrown(() => agent.run(op))).toBe(reason);
  });

  test("a task that ended fails the calls of that task only", () => {
    using agent = new FakeAgent();
    const guest = agent.session();
    agent.on("CLOCK_GET", () => undefined).on("ECHO", ({ data }) => ({ data }));
    const op = guest.main.clockGet();
    op.next();
    agent.push("TASK_GONE", { actor: 1, how: 1, code: 9 });
    const error = thrown(() => agent.run(op));
    expect(error).toBeInstanceOf(GuestError);
    expect(error.message).toBe("clock_get: the main task was killed by signal 9 (SIGKILL)");
    const asked = agent.of("CLOCK_GET")[0];
    if (asked !== undefined) agent.ok("CLOCK_GET", asked, { ns: 1 });
    expect(text(agent.run(guest.echo(bytes("alive"))))).toBe("alive");
  });
});

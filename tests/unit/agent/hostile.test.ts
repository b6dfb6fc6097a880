import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Unpackr } from "msgpackr";
import { MAX_CONTENT_BYTES, MAX_FRAME_BYTES, MESSAGES } from "../../../src/guest/messages.ts";
import {
  AGENT,
  type AgentClient,
  bytes,
  type Frame,
  frameOf,
  number,
  text,
  type Value,
  withAgent,
} from "./client.ts";
import { preamble, readies, sync, syncFrame, withSerial } from "./serial.ts";

setDefaultTimeout(120_000);

const errors = (agent: AgentClient): Frame[] =>
  agent.pushed.filter((frame) => frame.kind === MESSAGES.ERROR.kind);

/** The beginning of a frame with a body of that length. */
const lengthOf = (length: number): Buffer => {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(length);
  return head;
};

/** The ERROR that a hand-made frame is answered with; the session goes on. */
async function answerTo(agent: AgentClient, frame: Uint8Array): Promise<string> {
  const before = errors(agent).length;
  agent.write(frame);
  await agent.until(() => agent.closed || errors(agent).length > before);
  expect(text((await agent.call("ECHO", { data: bytes("alive") })).data)).toBe("alive");
  return text(errors(agent)[before]!.fields.message);
}

describe("frames that make no sense", () => {
  test("an unknown kind, or one that only the agent sends, is refused and the session goes on", () =>
    withAgent(async (agent) => {
      for (const kind of [0, 99, -1, MESSAGES.READY.kind, MESSAGES.OK.kind, MESSAGES.DATA.kind]) {
        expect(await answerTo(agent, frameOf(kind, 1, 900, []))).toContain(`no request has kind ${kind}`);
      }
      expect(errors(agent).every((frame) => frame.id === 900)).toBe(true);
    }));

  test("an unknown actor is refused by name", () =>
    withAgent(async (agent) => {
      expect(await answerTo(agent, frameOf(MESSAGES.CLOCK_GET.kind, 7, 901, []))).toBe("no task is actor 7");
    }));

  test("each request with missing or wrong fields is refused", () =>
    withAgent(async (agent) => {
      const wrong: unknown[] = [
        [],
        {},
        null,
        5,
        "text",
        [null, null, null, null, null, null, null, null, null],
        [[[[]]]],
      ];
      for (const [name, spec] of Object.entries(MESSAGES)) {
        if (!("served" in spec) || Object.keys(spec.fields).length === 0) continue;
        if (name === "SYNC") continue;
        for (const payload of wrong) {
          const actor = spec.served === "task" ? 1 : 0;
          expect(await answerTo(agent, frameOf(spec.kind, actor, 902, payload))).toContain("field `");
        }
      }
    }));

  test("SYNC on a connection is refused", () =>
    withAgent(async (agent) => {
      expect(await answerTo(agent, frameOf(MESSAGES.SYNC.kind, 0, 903, [1, 5]))).toContain("serial");
    }));

  test("a length of zero or beyond the limit, or a body that is no request, ends the session after an ERROR", async () => {
    const violations = [
      Buffer.from([0, 0, 0, 0]),
      Buffer.from([0xff, 0xff, 0xff, 0xff]),
      lengthOf(MAX_FRAME_BYTES + 1),
      Buffer.from([0, 0, 0, 5, 1, 2, 3, 4, 5]),
      Buffer.from([0, 0, 0, 3, 0x94, 0xc0, 0xc0]),
      Buffer.concat([Buffer.from([0, 0xff, 0, 0]), Buffer.alloc(100, 0xc1)]),
      Buffer.from("GET / HTTP/1.1\r\n\r\n"),
    ];
    for (const violation of violations) {
      await withAgent(async (agent) => {
        await agent.ready();
        agent.write(violation);
        await agent.until(() => agent.closed);
        expect(errors(agent).length).toBe(1);
        expect(text(errors(agent)[0]!.fields.message)).toContain("the session ends");
      });
    }
  });

  test("the largest frame is served, by the agent and by its task", () =>
    withAgent(async (agent) => {
      const head = frameOf(MESSAGES.ECHO.kind, 0, 1, [new Uint8Array(70_000)]).length - 4 - 70_000;
      const data = Buffer.alloc(MAX_FRAME_BYTES - head, "0123456789");
      expect(data.equals((await agent.call("ECHO", { data })).data as Uint8Array)).toBe(true);
      const content = Buffer.alloc(MAX_CONTENT_BYTES, "abcdefg");
      const call = { nr: -1, args: [], bufs: [content], ptrs: [0], nested: [] };
      const { ret, out } = await agent.call("SYSCALL", call);
      expect(number(ret)).toBe(-38);
      expect(content.equals((out as Uint8Array[])[0] as Uint8Array)).toBe(true);
    }));

  test("a connection that ends in the middle of a frame leaves nothing behind", async () => {
    const frame = frameOf(MESSAGES.FILE_WRITE.kind, 1, 1, [0, 0, new Uint8Array(3_000_000)]);
    for (const size of [1, 3, 4, 10, 100, 100_000, 2_999_999]) {
      await withAgent(async (agent) => {
        await agent.ready();
        await new Promise<void>((resolve) => agent.socket.write(frame.subarray(0, size), () => resolve()));
      });
    }
  });

  test("random bytes never bring the agent down otherwise than by ending the session", async () => {
    let state = 12345;
    const random = (below: number): number => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      return (state >>> 8) % below;
    };
    const harmless = Object.values(MESSAGES).filter(
      (spec) =>
        "served" in spec &&
        !["SHUTDOWN", "SYSCALL", "IOCTL", "CLOCK_SET", "CLOCK_ADVANCE"].some(
          (name) => MESSAGES[name as "SYSCALL"].kind === spec.kind,
        ),
    );
    const value = (depth: number): Value => {
      const choice = random(depth > 2 ? 5 : 7);
      if (choice === 0) return random(1000) - 500;
      if (choice === 1) return BigInt.asIntN(64, BigInt(random(1 << 24)) << BigInt(random(50)));
      if (choice === 2) return random(2) === 1;
      if (choice === 3) return null;
      if (choice === 4) return Buffer.alloc(random(300), "/tmp/provium-fuzz-");
      return Array.from({ length: random(5) }, () => value(depth + 1));
    };
    for (let round = 0; round < 6; round++) {
      await withAgent(async (agent) => {
        await agent.ready();
        for (let i = 0; i < 300; i++) {
          const spec = harmless[random(harmless.length)]!;
          const fields = Object.keys(spec.fields).length;
          const frame = Buffer.from(
            frameOf(
              spec.kind,
              random(3),
              random(100_000) + 5000,
              Array.from({ length: fields }, () => value(0)),
            ),
          );
          if (random(20) === 0) frame[4 + random(frame.length - 4)] = random(256);
          agent.write(frame);
        }
        // It may have parked the session, and a parked one is silent.
        agent.write(frameOf(MESSAGES.RESUME.kind, 0, 4999, [0]));
        const echo = agent.call("ECHO", { data: bytes("end") }).catch(() => undefined);
        await Promise.race([echo, agent.until(() => agent.closed)]);
      });
    }
  });
});

describe("many connections", () => {
  let directory = "";
  let server: ChildProcess;
  let path = "";
  let report = "";
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "provium-agent-"));
    path = join(directory, "socket");
    server = spawn(AGENT, ["--listen-unix", path], { stdio: ["ignore", "inherit", "pipe"] });
    server.stderr?.on("data", (chunk: Buffer) => {
      report += chunk.toString();
    });
    /* The path appears before the socket listens. */
    while (
      !existsSync(path) ||
      !(await open().then(
        (socket) => socket.destroy(),
        () => false,
      ))
    );
  });
  afterAll(() => {
    server.kill();
    rmSync(directory, { recursive: true, force: true });
  });

  /** What arrived on a socket and was not asked for yet, from its first moment. */
  const arrived = new WeakMap<Socket, Buffer[]>();
  const open = (): Promise<Socket> =>
    new Promise((resolve, reject) => {
      if (server.exitCode !== null || server.signalCode !== null)
        reject(new Error(`the agent died\n${report}`));
      const chunks: Buffer[] = [];
      const socket = connect(path, () => resolve(socket));
      arrived.set(socket, chunks);
      socket.on("error", reject);
      socket.on("data", (chunk: Buffer) => {
        chunks.push(chunk);
        socket.emit("arrival");
      });
    });
  const firstBytes = async (socket: Socket): Promise<Buffer> => {
    const chunks = arrived.get(socket)!;
    if (chunks.length === 0) await new Promise<void>((resolve) => socket.once("arrival", () => resolve()));
    return chunks.shift()!;
  };
  const ended = (socket: Socket) => new Promise<void>((resolve) => socket.once("close", () => resolve()));

  test("300 connections that are given up in every way leak no descriptor, no process and no memory", async () => {
    const state = async (): Promise<number[]> => {
      const socket = await open();
      await firstBytes(socket);
      socket.write(frameOf(MESSAGES.STATE.kind, 0, 3, []));
      const answer = await firstBytes(socket);
      socket.destroy();
      const [, , , fields] = new Unpackr({ useRecords: false }).unpack(answer.subarray(4));
      return (fields as number[]).slice(0, 4);
    };
    const settled = async (expected: number[]): Promise<void> => {
      while (JSON.stringify(await state()) !== JSON.stringify(expected));
    };
    // A task that is still being born has descriptors that it will not keep.
    const first = await open();
    await firstBytes(first);
    first.write(frameOf(MESSAGES.CLOCK_GET.kind, 1, 1, []));
    await firstBytes(first);
    first.destroy();
    // Connections that were just given up may still be counted: the state before is the one that stays.
    let before = await state();
    for (let same = 0; same < 3; ) {
      const again = await state();
      same = JSON.stringify(again) === JSON.stringify(before) ? same + 1 : 0;
      before = again;
    }
    const start = frameOf(MESSAGES.PROC_START.kind, 1, 1, [
      1,
      [bytes("sleep"), bytes("1000")],
      [],
      false,
      null,
      null,
      true,
      0,
      9,
    ]);
    for (let i = 0; i < 300; i++) {
      const socket = await open();
      if (i % 5 === 1) socket.write(frameOf(MESSAGES.ECHO.kind, 0, 1, [Buffer.alloc(100_000)]));
      if (i % 5 === 2) socket.write(start);
      if (i % 5 === 3) socket.write(Buffer.from([0, 1, 0, 0, 0x94]));
      if (i % 5 === 4) {
        await firstBytes(socket);
        socket.write(Buffer.from([255, 255, 255, 255]));
        await ended(socket);
      }
      socket.destroy();
    }
    await settled(before);
    expect(report).toBe("");
    expect(server.exitCode).toBeNull();
  });

  test("200 connections at once are all greeted", async () => {
    const sockets = await Promise.all(Array.from({ length: 200 }, open));
    const greetings = await Promise.all(sockets.map(firstBytes));
    expect(greetings.every((greeting) => greeting.length > 20)).toBe(true);
    for (const socket of sockets) socket.destroy();
  });

  test("a session that never reads does not hold up another", async () => {
    const lazy = await open();
    lazy.pause();
    const echo = Buffer.from(frameOf(MESSAGES.ECHO.kind, 0, 1, [Buffer.alloc(60_000)]));
    for (let i = 0; i < 200; i++) lazy.write(echo);
    const other = await open();
    await firstBytes(other);
    other.write(frameOf(MESSAGES.CLOCK_GET.kind, 1, 1, []));
    expect((await firstBytes(other)).length).toBeGreaterThan(8);
    lazy.destroy();
    other.destroy();
  });
});

describe("the serial port", () => {
  test("nothing is said before SYNC, and READY repeats its nonce", () =>
    withSerial(async (agent) => {
      await sync(agent, 4242);
      expect(readies(agent)).toEqual([4242]);
      expect((await agent.run(["echo", "hello"])).stdout).toBe("hello\n");
    }));

  test("SYNC is found behind whatever was in the pipe", () =>
    withSerial(async (agent) => {
      await sync(agent, 1, Buffer.alloc(100_000, "garbage"));
      agent.write(Buffer.from([0xff, 0xff]));
      await sync(agent, 2, Buffer.concat([Buffer.alloc(999, 0xff), preamble, preamble.subarray(0, 15)]));
      await sync(agent, 3, Buffer.concat([preamble, frameOf(MESSAGES.ECHO.kind, 0, 1, [bytes("not SYNC")])]));
      expect(text((await agent.call("ECHO", { data: bytes("here") })).data)).toBe("here");
    }));

  test("SYNC ends a frame of which only a part had come", () =>
    withSerial(async (agent) => {
      await sync(agent, 1);
      for (const [nonce, size, sent] of [
        [2, 100, 60],
        [3, 3_000_000, 200_000],
        [4, 3_000_000, 30],
      ] as const) {
        const frame = frameOf(MESSAGES.FILE_WRITE.kind, 1, 1, [0, 0, new Uint8Array(size)]);
        agent.write(frame.subarray(0, sent));
        /* The rest of the frame is awaited when SYNC comes: repeated, as a host does that hears nothing. */
        const again = setInterval(() => agent.write(syncFrame(nonce)), 50);
        await agent.until(() => agent.closed || readies(agent).includes(nonce));
        clearInterval(again);
        expect(text((await agent.call("ECHO", { data: bytes("in step") })).data)).toBe("in step");
      }
    }));

  test("a new session finds nothing of the old one", () =>
    withSerial(async (agent) => {
      await sync(agent, 1);
      const process = await agent.start(["sh", "-c", "echo old; sleep 1000"], { window: 1 });
      agent.ask("SYSCALL", { nr: 34, args: [], bufs: [], ptrs: [], nested: [] }).answer.catch(() => {});
      agent.ask("CLOCK_GET", {}).answer.catch(() => {});
      await sync(agent, 2);
      agent.outputs.delete(process);
      expect((await agent.run(["echo", "new"], { process })).stdout).toBe("new\n");
      expect(number((await agent.call("STATE")).tasks)).toBe(1);
      await agent.commandsForgotten();
    }));

  test("a new session finds no worker of the old one, whatever those were at", () =>
    withSerial(async (agent) => {
      await sync(agent, 1);
      await agent.call("CLOCK_GET");
      const before = await agent.call("STATE");
      for (const [nonce, thread] of [
        [2, false],
        [3, true],
        [4, false],
      ] as const) {
        await agent.call("SPAWN_WORKER", { worker: 2, thread });
        await agent.call("SPAWN_WORKER", { worker: 3, thread: !thread });
        agent.write(frameOf(MESSAGES.SYSCALL.kind, 2, 5000, [34, [], [], [], []]));
        agent.ask("SPAWN_WORKER", { worker: 4, thread }).answer.catch(() => {});
        const frame = frameOf(MESSAGES.FILE_WRITE.kind, 3, 5001, [0, 0, new Uint8Array(3_000_000)]);
        agent.write(frame.subarray(0, 200_000));
        const again = setInterval(() => agent.write(syncFrame(nonce)), 50);
        await agent.until(() => agent.closed || readies(agent).includes(nonce));
        clearInterval(again);
        let state = await agent.call("STATE");
        while (number(state.tasks) > 1) state = await agent.call("STATE");
        expect([state.io_fds, state.task_fds]).toEqual([before.io_fds, before.task_fds]);
      }
    }));

  test("a wait for an interface ends with its session", () =>
    withSerial(async (agent) => {
      // No interface has the address of a group.
      const wait = { mac: new Uint8Array(6).fill(1), mtu: 0, addresses: [], routes: [], drop_routes: [] };
      await sync(agent, 1);
      let told = false;
      agent.ask("NET_SETUP", { ...wait, timeout_ms: 200 }).answer.catch(() => {
        told = true;
      });
      await sync(agent, 2);
      expect((await agent.refused("NET_SETUP", { ...wait, timeout_ms: 200 })).errno).toBe(19);
      expect(told).toBe(false);
    }));

  test("the same SYNC again keeps the session", () =>
    withSerial(async (agent) => {
      await sync(agent, 9);
      const process = await agent.start(["cat"], { stdin_open: true });
      agent.write(syncFrame(9));
      await agent.until(() => readies(agent).length === 2);
      await agent.call("PROC_STDIN", { process, data: bytes("kept"), close: true });
      expect((await agent.finished(process)).stdout).toBe("kept");
    }));

  test("a violation drops the session, and the next SYNC begins another", () =>
    withSerial(async (agent) => {
      await sync(agent, 1);
      agent.write(Buffer.from([0x7f, 0, 0, 0, 1, 2, 3]));
      await agent.until(() => errors(agent).length > 0);
      await sync(agent, 2);
      expect((await agent.run(["echo", "again"])).stdout).toBe("again\n");
    }));
});

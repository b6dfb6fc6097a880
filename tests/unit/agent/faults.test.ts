import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MESSAGES } from "../../../src/guest/messages.ts";
import { AGENT, AgentClient, bytes, frameOf, number, text, withAgent } from "./client.ts";
import { runs } from "./runs.ts";

setDefaultTimeout(120_000);

/** x86-64 and arm64 number their calls differently. */
const NR =
  process.arch === "x64" ? { write: 1, close: 3, getpid: 39 } : { write: 64, close: 57, getpid: 172 };

/** The descriptors that the task keeps for the agent, in their order. */
const BELL = 900;
const ANSWER = 901;
const PASSAGE = 902;

const childrenOf = async (agent: AgentClient): Promise<number> => {
  const pid = number((await agent.ready()).agent_pid);
  return readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1").split(" ").length;
};

describe("a task that meddles with the agent's descriptors", () => {
  test("it cannot ring its own bell", () =>
    withAgent(async (agent) => {
      const most = Buffer.from([0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
      expect(number((await agent.syscall(NR.write, [BELL, 0, 8], [most], [1])).ret)).toBe(-9);
      expect((await agent.syscall(NR.getpid)).out).toEqual([]);
      expect(text((await agent.call("ECHO", { data: bytes("awake") })).data)).toBe("awake");
    }));

  test("an answer that it announces too early is not taken", () =>
    withAgent(async (agent) => {
      const one = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]);
      for (let i = 0; i < 20; i++) {
        const early = agent.syscall(NR.write, [ANSWER, 0, 8], [one], [1]);
        const next = agent.syscall(NR.getpid);
        expect(number((await early).ret)).toBe(8);
        expect((await next).out).toEqual([]);
      }
    }));

  test("one that closes the way of the pipes ends, and the next request gets a fresh task", () =>
    withAgent(async (agent) => {
      const task = number((await agent.ready()).task_pid);
      await agent.syscall(NR.close, [PASSAGE]);
      await agent.until(() => agent.pushed.some((frame) => frame.kind === MESSAGES.TASK_GONE.kind));
      expect(number((await agent.syscall(NR.getpid)).ret)).not.toBe(task);
      while (existsSync(`/proc/${task}`)) await agent.call("STATE");
    }));
});

describe("a connection that stops in the middle of a request", () => {
  test("does not hold up the requests of others, and goes on where it stopped", async () => {
    const directory = mkdtempSync(join(tmpdir(), "provium-agent-"));
    const path = join(directory, "socket");
    const server = spawn(AGENT, ["--listen-unix", path], { stdio: "inherit" });
    const open = async (): Promise<Socket> => {
      for (;;) {
        const socket = await new Promise<Socket | undefined>((resolve) => {
          const one = connect(path, () => resolve(one)).on("error", () => resolve(undefined));
        });
        if (socket !== undefined) return socket;
      }
    };
    const arrival = (socket: Socket) =>
      new Promise<Buffer>((resolve) => socket.once("data", (chunk: Buffer) => resolve(chunk)));
    try {
      const request = frameOf(MESSAGES.FILE_WRITE.kind, 1, 1, [9999, -1, new Uint8Array(200_000)]);
      const lazy = await Promise.all(Array.from({ length: 5 }, open));
      for (const socket of lazy) {
        await arrival(socket);
        await new Promise<void>((resolve) => socket.write(request.subarray(0, 100_000), () => resolve()));
      }
      const other = await open();
      await arrival(other);
      other.write(frameOf(MESSAGES.CLOCK_GET.kind, 1, 1, []));
      expect((await arrival(other)).length).toBeGreaterThan(8);
      const answers = lazy.map(arrival);
      for (const socket of lazy) socket.write(request.subarray(100_000));
      for (const answer of await Promise.all(answers)) expect(answer.toString("latin1")).toContain("write");
      for (const socket of [...lazy, other]) socket.destroy();
    } finally {
      server.kill("SIGKILL");
      rmSync(directory, { recursive: true, force: true });
    }
  });
});

describe("commands that cannot be started", () => {
  test("programs that are not there leave no dead children", () =>
    withAgent(async (agent) => {
      const before = await childrenOf(agent);
      for (let i = 0; i < 50; i++)
        await expect(agent.start(["/not/there"])).rejects.toMatchObject({ errno: 2 });
      while ((await childrenOf(agent)) > before) await agent.call("STATE");
    }));

  test("an agent without free descriptors refuses a command, and those that it took lose nothing", async () => {
    const agent = new AgentClient(["sh", "-c", `ulimit -n 64; exec ${AGENT} --fd 3`]);
    try {
      const started: number[] = [];
      const script = ["sh", "-c", "echo up; read x; echo down"];
      const refusal = await (async () => {
        for (;;) started.push(await agent.start(script, { stdin_open: true }));
      })().catch((error) => error);
      expect(refusal).toMatchObject({ errno: 24 });
      expect(started.length).toBeGreaterThan(5);
      for (const process of started) {
        await agent.call("PROC_STDIN", { process, data: bytes("\n"), close: true });
        expect((await agent.finished(process)).stdout).toBe("up\ndown\n");
      }
      await agent.commandsForgotten();
      expect((await agent.run(["echo", "again"])).stdout).toBe("again\n");
    } finally {
      await agent.close();
    }
  });
});

describe("many commands", () => {
  test("all have their say when the host reads nothing for a while", () =>
    withAgent(async (agent) => {
      const before = await childrenOf(agent);
      const script = "read x; head -c 65536 /dev/zero; head -c 65536 /dev/zero >&2";
      const started: number[] = [];
      for (let i = 0; i < 325; i++)
        started.push(await agent.start(["sh", "-c", script], { stdin_open: true }));
      agent.socket.pause();
      for (const process of started) agent.tell("PROC_STDIN", { process, data: bytes("\n"), close: true });
      while ((await childrenOf(agent)) > before) await new Promise((resolve) => setImmediate(resolve));
      agent.socket.resume();
      for (const process of started) {
        const { stdout, stderr } = await agent.finished(process);
        expect([stdout.length, stderr.length]).toEqual([65536, 65536]);
      }
    }));
});

describe("closing a command", () => {
  test("ends those of its group, too, that do not heed SIGTERM", () =>
    withAgent(async (agent) => {
      const deaf = "trap '' TERM; echo $$; while :; do sleep 0.05; done";
      const process = await agent.start(["sh", "-c", `sh -c "$0" & wait`, deaf]);
      const output = agent.outputOf(process);
      await agent.until(() => output.stdout.length > 0);
      const pid = text(output.stdout[0]).trim();
      await agent.call("PROC_CLOSE", { process, grace_ms: 60_000 });
      expect(output.exit).toMatchObject({ how: 1, code: 15 });
      while (runs(pid)) await agent.call("STATE");
    }));
});

/** What a task leaves behind when it ends or does not end, and what an agent leaves behind that is killed. */

import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { spawn } from "node:child_process";
import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MESSAGES } from "../../../src/guest/messages.ts";
import { AGENT, AgentClient, bytes, frameOf, number, PLAIN_AGENT, withAgent } from "./client.ts";
import { runs } from "./runs.ts";
import { sync, withSerial } from "./serial.ts";

setDefaultTimeout(120_000);

const NR =
  process.arch === "x64"
    ? { getpid: 39, execve: 59, nanosleep: 35, rt_sigprocmask: 14, fcntl: 72 }
    : { getpid: 172, execve: 221, nanosleep: 101, rt_sigprocmask: 135, fcntl: 25 };

const directory = mkdtempSync(join(tmpdir(), "provium-agent-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await pause(5);
};
const withCommandLine = (word: string): number[] =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        return readFileSync(`/proc/${name}/cmdline`, "latin1").split("\0").includes(word);
      } catch {
        return false;
      }
    })
    .map(Number)
    .filter(runs);

/** Seconds that no other process sleeps, of another run of these tests either. */
const seconds = (which: number): string => `${which}${String(process.pid).padStart(8, "0")}`;

const execSleep = (agent: AgentClient, seconds: string) =>
  agent.syscall(
    NR.execve,
    [0, 0, 0],
    [bytes("/bin/sleep\0"), new Uint8Array(24), new Uint8Array(8), bytes("sleep\0"), bytes(`${seconds}\0`)],
    [0, 1, 2],
    [1, 3, 0, 1, 4, 8],
  );

const blockSignals = (agent: AgentClient) =>
  agent.syscall(NR.rt_sigprocmask, [2, 0, 0, 8], [new Uint8Array(8).fill(0xff)], [1]);

/** A struct timespec. */
const DAY = new Uint8Array(new BigInt64Array([86_400n, 0n]).buffer);
/** Has the task sleep, whatever it is told. */
const sleepDeaf = async (agent: AgentClient) => {
  await blockSignals(agent);
  return agent.ask("SYSCALL", { nr: NR.nanosleep, args: [0, 0], bufs: [DAY], ptrs: [0], nested: [] });
};

/** Whoever opens or executes the file waits from now on, until the agent that holds the lease (fcntl(2)) is gone. */
const lease = async (holder: AgentClient, path: string): Promise<void> => {
  const [setLease, writeLock] = [1024, 1];
  await blockSignals(holder);
  const { fd } = await holder.call("FILE_OPEN", { path: bytes(path), mode: 3, perm: -1 });
  expect(number((await holder.syscall(NR.fcntl, [fd!, setLease, writeLock])).ret)).toBe(0);
};

const childrenOf = (pid: number): number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1").trim().split(" ").map(Number);

describe("a main task", () => {
  test("that has become another program ends with its session", () =>
    withSerial(async (agent) => {
      await sync(agent, 1);
      const task = number((await agent.syscall(NR.getpid)).ret);
      await expect(execSleep(agent, seconds(1))).rejects.toMatchObject({
        reason: expect.stringContaining("replaced itself"),
      });
      expect(runs(task)).toBe(true);
      await sync(agent, 2);
      await until(() => !runs(task));
      expect(number((await agent.syscall(NR.getpid)).ret)).not.toBe(task);
    }));

  const replaced = expect.stringContaining("the main task replaced itself");

  test("that becomes another program while a pending call has its descriptors is told as such", () =>
    withAgent(async (agent) => {
      const call = { nr: NR.nanosleep, args: [0, 0], bufs: [DAY], ptrs: [0], nested: [] };
      await agent.call("SYSCALL_START", { process: 100, ...call, window: 1024 });
      await expect(execSleep(agent, seconds(6))).rejects.toMatchObject({ reason: replaced });
      expect(number((await agent.syscall(NR.getpid)).ret)).toBeGreaterThan(0);
    }));

  test("that becomes another program while the fork of a thread has its descriptors is told as such", () =>
    withAgent(async (agent) => {
      await agent.call("SPAWN_WORKER", { worker: 2, thread: true });
      agent.write(frameOf(MESSAGES.SPAWN_WORKER.kind, 2, 5000, [3, false]));
      await agent.until(() => agent.pushed.some(({ id }) => id === 5000));
      await expect(execSleep(agent, seconds(7))).rejects.toMatchObject({ reason: replaced });
      expect(number((await agent.syscall(NR.getpid)).ret)).toBeGreaterThan(0);
    }));

  test("that cannot become another program goes on", () =>
    withAgent(async (agent) => {
      const task = number((await agent.syscall(NR.getpid)).ret);
      for (let i = 0; i < 20; i++)
        expect(number((await agent.syscall(NR.execve, [0, 0, 0], [bytes("/\0")], [0])).ret)).toBe(-13);
      expect(number((await agent.syscall(NR.getpid)).ret)).toBe(task);
    }));

  test("that does not come back from a request does not keep the next session waiting", () =>
    withSerial(async (agent) => {
      await sync(agent, 1);
      const task = number((await agent.syscall(NR.getpid)).ret);
      (await sleepDeaf(agent)).answer.catch(() => {});
      await sync(agent, 2);
      // One that waits while the old task is given its time, and one whose body is kept outside the arena.
      const early = agent.call("FILE_PUT", {
        path: bytes(join(directory, "late")),
        data: new Uint8Array(3_000_000),
        perm: -1,
        more: false,
      });
      const fresh = number((await agent.syscall(NR.getpid)).ret);
      expect(number((await early).fd)).toBe(-1);
      expect(fresh).not.toBe(task);
      await until(() => !runs(task));
      expect(number((await agent.call("STATE")).tasks)).toBe(1);
    }));

  test("that does not come back from a request that was given up does not keep the next session waiting", () =>
    withSerial(async (agent) => {
      await sync(agent, 1);
      const task = number((await agent.syscall(NR.getpid)).ret);
      const stuck = await sleepDeaf(agent);
      agent.tell("CANCEL", {}, stuck.id);
      await expect(stuck.answer).rejects.toMatchObject({ errno: 125 });
      await sync(agent, 2);
      expect(number((await agent.syscall(NR.getpid)).ret)).not.toBe(task);
    }));

  test("that is given up while it starts a command takes that along", async () => {
    const path = join(directory, "program");
    copyFileSync("/bin/sleep", path);
    const holder = new AgentClient([PLAIN_AGENT, "--fd", "3"]);
    try {
      await lease(holder, path);
      await withSerial(async (agent) => {
        await sync(agent, 1);
        const task = number((await agent.syscall(NR.getpid)).ret);
        const server = number((await agent.ready()).agent_pid);
        agent.start([path, seconds(5)]).catch(() => {});
        const born = () => childrenOf(server).find((pid) => pid !== task);
        await until(() => born() !== undefined);
        const command = born()!;
        await sync(agent, 2);
        expect(number((await agent.syscall(NR.getpid)).ret)).not.toBe(task);
        await until(() => !runs(command));
      });
    } finally {
      await holder.close();
    }
  });

  test("that dies while it starts a command leaves none that is nobody's", () =>
    withAgent(
      async (agent) => {
        for (let i = 0; i < 60; i++) {
          const task = number((await agent.syscall(NR.getpid)).ret);
          const started = agent.start(["sleep", seconds(2)]).then(
            (handle) => handle,
            () => undefined,
          );
          for (let spin = 0; spin < i * 40; spin++) existsSync("/");
          process.kill(task, "SIGKILL");
          const handle = await started;
          if (handle !== undefined) await agent.call("PROC_CLOSE", { process: handle, grace_ms: 0 });
          await agent.until(
            () => agent.pushed.filter(({ kind }) => kind === MESSAGES.TASK_GONE.kind).length > i,
          );
        }
        await until(() => withCommandLine(seconds(2)).length === 0);
        await agent.commandsForgotten();
      },
      "--fd",
      PLAIN_AGENT,
    ));
});

describe("an agent of the host", () => {
  test("that is killed takes its commands and their children with it", async () => {
    const agent = new AgentClient([PLAIN_AGENT, "--fd", "3"]);
    const server = number((await agent.ready()).agent_pid);
    const handle = await agent.start([
      "sh",
      "-c",
      `sleep ${seconds(3)} & echo $!; setsid sleep ${seconds(3)} & wait`,
    ]);
    await agent.until(() => agent.outputOf(handle).stdout.length > 0);
    const child = Number(Buffer.concat(agent.outputOf(handle).stdout).toString());
    expect(runs(child)).toBe(true);
    process.kill(server, "SIGKILL");
    await agent.close();
    expect(withCommandLine(seconds(3))).toEqual([]);
    expect(agent.exitCode).toBe("SIGKILL");
  });

  test("whose guard is killed ends what it has started, and itself", async () => {
    const agent = new AgentClient([PLAIN_AGENT, "--fd", "3"]);
    const server = number((await agent.ready()).agent_pid);
    await agent.start(["sh", "-c", `sleep ${seconds(4)} & wait`]);
    agent.child.kill("SIGKILL");
    await agent.until(() => agent.closed);
    await until(() => !runs(server) && withCommandLine(seconds(4)).length === 0);
  });

  test("keeps its own descriptors out of the way of a task whose standard ones are closed", async () => {
    const agent = new AgentClient(["sh", "-c", `exec ${PLAIN_AGENT} --fd 3 <&- >&- 2>&-`]);
    try {
      const task = number((await agent.syscall(NR.getpid)).ret);
      const files = [0, 1, 2].map((fd) => readlink(task, fd));
      expect(files).toEqual(["/dev/null", "/dev/null", "/dev/null"]);
    } finally {
      await agent.close();
    }
  });

  test.if(process.getuid?.() === 0)("run by root mounts nothing on the host", () =>
    withAgent(async (agent) => {
      const script = 'mount -t tmpfs none "$1" && grep -c " $1 " /proc/self/mountinfo';
      const { stdout } = await agent.run(["sh", "-c", script, "sh", directory]);
      const mounted = readFileSync("/proc/self/mountinfo", "latin1").includes(` ${directory} `);
      if (mounted) Bun.spawnSync(["umount", directory]);
      expect([stdout, mounted]).toEqual(["1\n", false]);
    }),
  );
});

const readlink = (pid: number, fd: number): string => {
  const { stdout } = Bun.spawnSync(["readlink", `/proc/${pid}/fd/${fd}`]);
  return stdout.toString().trim();
};

describe("connections", () => {
  /** Seconds of processor time. */
  const used = (pid: number): number => {
    const fields = readFileSync(`/proc/${pid}/stat`, "latin1").split(") ")[1]!.split(" ");
    return (Number(fields[11]) + Number(fields[12])) / 100;
  };

  test("for which there is no descriptor wait without costing anything, and are served when there is one", async () => {
    const path = join(directory, "socket");
    const child = spawn("sh", ["-c", `ulimit -n 40; exec ${AGENT} --listen-unix ${path}`], {
      stdio: "inherit",
    });
    const sockets: Socket[] = [];
    let greeted = 0;
    const open = () => {
      const socket = connect(path);
      socket.on("error", () => {});
      socket.once("data", () => greeted++);
      sockets.push(socket);
    };
    try {
      while (greeted === 0) {
        open();
        await pause(20);
      }
      for (let i = 0; i < 60; i++) open();
      await until(() => greeted > 10);
      await pause(200);
      const server = Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "latin1"));
      const before = used(server);
      const start = performance.now();
      await pause(1000);
      const share = (used(server) - before) / ((performance.now() - start) / 1000);
      expect(share).toBeLessThan(0.3);
      const waiting = greeted;
      for (const socket of sockets.splice(0, 30)) socket.destroy();
      await until(() => greeted > waiting);
    } finally {
      for (const socket of sockets) socket.destroy();
      child.kill("SIGKILL");
    }
  });
});

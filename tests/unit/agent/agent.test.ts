import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type AgentClient, bytes, number, PLAIN_AGENT, text, withAgent } from "./client.ts";

setDefaultTimeout(120_000);

let directory = "";
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "provium-agent-"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const at = (name: string): Uint8Array => bytes(join(directory, name));

/** x86-64 and arm64 number their calls differently. */
const NR =
  process.arch === "x64"
    ? {
        read: 0,
        close: 3,
        getpid: 39,
        exit_group: 231,
        nanosleep: 35,
        kill: 62,
        pause: 34,
        flock: 73,
        write: 1,
        execve: 59,
        fork: 57,
        writev: 20,
        uname: 63,
      }
    : {
        read: 63,
        close: 57,
        getpid: 172,
        exit_group: 94,
        nanosleep: 101,
        kill: 129,
        pause: 73,
        flock: 32,
        write: 64,
        execve: 221,
        fork: 220,
        writev: 66,
        uname: 160,
      };
const EFAULT = -14;

/** Reads up to end of file through FILE_READ, `piece` bytes at a time. */
async function readAll(agent: AgentClient, fd: number, piece: number): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for (;;) {
    const { data } = await agent.call("FILE_READ", { fd, offset: -1, length: piece });
    if ((data as Uint8Array).length === 0) return Buffer.concat(parts);
    parts.push((data as Uint8Array).slice());
  }
}

describe("session", () => {
  test("the agent speaks first and names itself", () =>
    withAgent(async (agent) => {
      const ready = await agent.ready();
      expect(number(ready.protocol)).toBe(1);
      expect(text(ready.agent_version)).toMatch(/^\d+\.\d+\.\d+$/);
      expect(text(ready.arch).length).toBeGreaterThan(0);
      // What was started is the guard of the one that serves.
      const children = readFileSync(`/proc/${agent.child.pid}/task/${agent.child.pid}/children`, "latin1");
      expect(number(ready.agent_pid)).toBe(Number(children));
      expect(number((await agent.syscall(NR.getpid)).ret)).toBe(number(ready.task_pid));
    }));

  test("an echo of any size comes back unchanged", () =>
    withAgent(async (agent) => {
      for (const size of [0, 1, 65_530, 65_536, 3_000_000]) {
        const data = crypto.getRandomValues(new Uint8Array(Math.min(size, 65_536)));
        const sent = Buffer.alloc(size, data.length > 0 ? data : undefined);
        const { data: back } = await agent.call("ECHO", { data: sent });
        expect(sent.equals(back as Uint8Array)).toBe(true);
      }
    }));

  test("the power-off of a session on the host is acknowledged by READY and ends the agent only", () =>
    withAgent(async (agent) => {
      await agent.ready();
      const ready = await agent.call("SHUTDOWN", { sync_ms: 0 });
      expect(number(ready.protocol)).toBe(1);
      await agent.until(() => agent.exitCode !== undefined);
    }));

  test("nothing is left over after work of each kind", () =>
    withAgent(async (agent) => {
      await agent.run(["true"]);
      const before = await agent.call("STATE");
      for (let i = 0; i < 20; i++) {
        await agent.run(["sh", "-c", "echo x; exit 1"], { stdin: bytes("input") });
        await agent.refused("FILE_GET", { path: at("nothing"), limit: 1 });
        await agent.call("FILE_GET", { path: bytes("/proc/self/status"), limit: 100_000 });
      }
      const after = await agent.call("STATE");
      for (const field of ["processes", "tasks", "io_fds", "task_fds"])
        expect(after[field]).toBe(before[field]!);
    }));
});

describe("commands", () => {
  test("output, error output and status come back", () =>
    withAgent(async (agent) => {
      const result = await agent.run(["sh", "-c", "echo out; echo err >&2; exit 3"]);
      expect(result).toMatchObject({ stdout: "out\n", stderr: "err\n" });
      expect(result.exit).toMatchObject({ how: 0, code: 3, timed_out: false });
    }));

  test("a signal that ends a command is reported as such", () =>
    withAgent(async (agent) => {
      const { exit } = await agent.run(["sh", "-c", "kill -TERM $$"]);
      expect(exit).toMatchObject({ how: 1, code: 15 });
    }));

  test("a program that is not there is an error with its name and errno", () =>
    withAgent(async (agent) => {
      await expect(agent.start(["no-such-program"])).rejects.toMatchObject({
        errno: 2,
        operation: "exec",
        reason: expect.stringContaining("`no-such-program`"),
      });
      await expect(agent.start([directory])).rejects.toMatchObject({ errno: 13 });
      await expect(agent.start(["true"], { cwd: at("nowhere") })).rejects.toMatchObject({
        errno: 2,
        operation: "chdir",
      });
      await expect(agent.start([])).rejects.toMatchObject({ errno: 22 });
      expect(number((await agent.call("STATE")).processes)).toBe(0);
    }));

  test("cwd and environment are as asked for", () =>
    withAgent(async (agent) => {
      const script = 'pwd; echo "$ONE-$HOME"';
      const laid = await agent.run(["/bin/sh", "-c", script], {
        cwd: bytes("/proc"),
        env: [bytes("ONE=1"), bytes("HOME=/x")],
      });
      expect(laid.stdout).toBe("/proc\n1-/x\n");
      const bare = await agent.run(["env"], { env: [bytes("ONLY=this")], env_clear: true });
      expect(bare.stdout).toBe("ONLY=this\n");
    }));

  test("a command starts with default signals, in a session of its own, with nothing but its three descriptors", () =>
    withAgent(async (agent) => {
      const { stdout } = await agent.run([
        "sh",
        "-c",
        "cat /proc/self/status; ls /proc/self/fd; cat /proc/$$/stat",
      ]);
      expect(stdout).toMatch(/SigBlk:\s*0{16}/);
      expect(stdout).toMatch(/SigIgn:\s*0{16}/);
      expect(stdout).toContain("\n0\n1\n2\n3\n");
      expect(stdout).not.toContain("\n4\n");
      const [pid, , , , group, session] = stdout.trimEnd().split("\n").at(-1)!.split(" ");
      expect([group, session]).toEqual([pid, pid]);
    }));

  test("a command inherits what a raw call changed in the task", () =>
    withAgent(async (agent) => {
      await agent.call("FILE_PUT", {
        path: at("inherited"),
        data: bytes("by descriptor"),
        perm: -1,
        more: false,
      });
      const path = Buffer.concat([at("inherited"), Buffer.of(0)]);
      const { ret } = await agent.syscall(process.arch === "x64" ? 257 : 56, [-100, 0, 0, 0], [path], [1]);
      expect(number(ret)).toBe(3);
      expect((await agent.run(["sh", "-c", "cat <&3"])).stdout).toBe("by descriptor");
    }));

  test("standard input arrives whole and ends", () =>
    withAgent(async (agent) => {
      const { stdout } = await agent.run(["wc", "-c"], { stdin: Buffer.alloc(3_000_000, "x") });
      expect(stdout.trim()).toBe("3000000");
      expect((await agent.run(["wc", "-c"])).stdout.trim()).toBe("0");
    }));

  test("more input is answered only when the command has taken it", () =>
    withAgent(async (agent) => {
      const process = await agent.start(["sh", "-c", "read go; wc -c"], { stdin_open: true });
      let taken = false;
      const large = agent.call("PROC_STDIN", { process, data: bytes("x".repeat(1_000_000)), close: false });
      large.then(
        () => {
          taken = true;
        },
        () => {},
      );
      await agent.call("ECHO", { data: bytes("in between") });
      await agent.call("PROC_STATUS", { process });
      expect(taken).toBe(false);
      await agent.call("PROC_SIGNAL", { process, signal: 9, group: true });
      await expect(large).rejects.toMatchObject({ errno: 32 });
      expect((await agent.finished(process)).exit).toMatchObject({ how: 1, code: 9 });

      const second = await agent.start(["wc", "-c"], { stdin_open: true });
      await agent.call("PROC_STDIN", { process: second, data: bytes("x".repeat(500_000)), close: false });
      await agent.call("PROC_STDIN", { process: second, data: bytes("yz"), close: true });
      expect((await agent.finished(second)).stdout.trim()).toBe("500002");
      expect(
        (await agent.refused("PROC_STDIN", { process: second, data: bytes(""), close: false })).errno,
      ).toBe(32);
    }));

  test("the agent reads no more output than it has credit for", () =>
    withAgent(async (agent) => {
      agent.autoCredit = false;
      const process = await agent.start(["sh", "-c", "head -c 300000 /dev/zero"], { window: 1000 });
      const received = () => agent.outputOf(process).stdout.reduce((sum, chunk) => sum + chunk.length, 0);
      await agent.until(() => received() === 1000);
      await agent.call("ECHO", { data: bytes("all that was sent before has arrived") });
      expect(received()).toBe(1000);
      agent.tell("CREDIT", { process, stream: 1, bytes: 500 });
      await agent.until(() => received() === 1500);
      agent.tell("CREDIT", { process, stream: 1, bytes: 1_000_000 });
      await agent.finished(process);
      expect(received()).toBe(300_000);
    }));

  test("100 MB of output pass through a small agent", () =>
    withAgent(
      async (agent) => {
        const process = await agent.start(["head", "-c", "100000000", "/dev/zero"]);
        const output = agent.outputOf(process);
        let received = 0;
        let largest = 0;
        const before = number((await agent.call("STATE")).rss_bytes);
        while (output.exit === undefined || output.ended.size < 2) {
          received += output.stdout.reduce((sum, chunk) => sum + chunk.length, 0);
          output.stdout.length = 0;
          largest = Math.max(largest, number((await agent.call("STATE")).rss_bytes));
        }
        received += output.stdout.reduce((sum, chunk) => sum + chunk.length, 0);
        expect(received).toBe(100_000_000);
        expect(largest - before).toBeLessThan(8_000_000);
      },
      "--fd",
      PLAIN_AGENT,
    ));

  test("a command that overstays is killed with its whole group", () =>
    withAgent(async (agent) => {
      const { exit, stdout } = await agent.run(["sh", "-c", "sleep 1000 & echo started; sleep 1000"], {
        timeout_ms: 3_000,
      });
      expect(exit).toMatchObject({ how: 1, code: 9, timed_out: true });
      expect(stdout).toBe("started\n");
    }));

  test("an orphan that holds the pipe delays the end of output, not the exit", () =>
    withAgent(async (agent) => {
      const process = await agent.start(["sh", "-c", "exec 3<&0; (read x <&3; echo late) & exit 7"], {
        stdin_open: true,
      });
      const output = agent.outputOf(process);
      await agent.until(() => output.exit !== undefined);
      expect(output.exit).toMatchObject({ how: 0, code: 7 });
      expect(output.ended.size).toBe(0);
      await agent.call("PROC_STATUS", { process }).then((status) => expect(status.running).toBe(false));
      await agent.call("PROC_CLOSE", { process, grace_ms: 0 });
      expect((await agent.refused("PROC_STATUS", { process })).errno).toBe(3);
    }));

  test("closing asks first and kills after the grace", () =>
    withAgent(async (agent) => {
      const polite = await agent.start([
        "sh",
        "-c",
        "trap 'exit 5' TERM; echo up; while :; do sleep 0.01; done",
      ]);
      await agent.until(() => agent.outputOf(polite).stdout.length > 0);
      await agent.call("PROC_CLOSE", { process: polite, grace_ms: 60_000 });
      expect(agent.outputOf(polite).exit).toMatchObject({ how: 0, code: 5 });

      const deaf = await agent.start(["sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.01; done"]);
      await agent.until(() => agent.outputOf(deaf).stdout.length > 0);
      await agent.call("PROC_CLOSE", { process: deaf, grace_ms: 100 });
      expect(agent.outputOf(deaf).exit).toMatchObject({ how: 1, code: 9 });
      await agent.call("PROC_CLOSE", { process: deaf, grace_ms: 0 });
      expect(number((await agent.call("STATE")).processes)).toBe(0);
    }));

  test("waiting for a close can be given up; the process is killed all the same", () =>
    withAgent(async (agent) => {
      const process = await agent.start(["sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.01; done"]);
      await agent.until(() => agent.outputOf(process).stdout.length > 0);
      const close = agent.ask("PROC_CLOSE", { process, grace_ms: 100 });
      agent.tell("CANCEL", {}, close.id);
      await expect(close.answer).rejects.toMatchObject({ errno: 125 });
      expect((await agent.finished(process)).exit).toMatchObject({ how: 1, code: 9 });
    }));

  test("many commands at once each get their own output", () =>
    withAgent(async (agent) => {
      const results = await Promise.all(
        Array.from({ length: 40 }, (_, index) => agent.run(["sh", "-c", `echo ${index}; exit ${index}`])),
      );
      results.forEach((result, index) => {
        expect(result.stdout).toBe(`${index}\n`);
        expect(number(result.exit.code)).toBe(index);
      });
    }));

  test("two commands cannot share a handle", () =>
    withAgent(async (agent) => {
      await agent.start(["sleep", "1000"], { process: 5 });
      await expect(agent.start(["true"], { process: 5 })).rejects.toMatchObject({ errno: 0 });
    }));
});

describe("raw calls", () => {
  test("the kernel's value comes back as it is", () =>
    withAgent(async (agent) => {
      expect(number((await agent.syscall(NR.close, [12345])).ret)).toBe(-9);
      expect(number((await agent.syscall(100_000)).ret)).toBe(-38);
    }));

  test("a buffer is filled by the kernel and comes back", () =>
    withAgent(async (agent) => {
      const { ret, out } = await agent.syscall(NR.uname, [0], [new Uint8Array(390)], [0]);
      expect(number(ret)).toBe(0);
      expect(Buffer.from((out as Uint8Array[])[0]!).toString("latin1")).toStartWith("Linux\0");
    }));

  test("a bad pointer is EFAULT and the task lives on", () =>
    withAgent(async (agent) => {
      expect(number((await agent.syscall(NR.uname, [8])).ret)).toBe(EFAULT);
      expect(number((await agent.syscall(NR.write, [1, -4096n, 100])).ret)).toBe(EFAULT);
      expect(number((await agent.syscall(NR.uname, [0], [new Uint8Array(390)], [0])).ret)).toBe(0);
    }));

  test("nested buffers are reached through the addresses written into their parent", () =>
    withAgent(async (agent) => {
      const { fd } = await agent.call("FILE_OPEN", { path: at("writev"), mode: 1 | 2 | 4, perm: 0o600 });
      const vector = Buffer.alloc(32);
      vector.writeBigUInt64LE(3n, 8);
      vector.writeBigUInt64LE(2n, 24);
      const { ret } = await agent.syscall(
        NR.writev,
        [fd!, 0, 2],
        [vector, bytes("abc"), bytes("de")],
        [1, -1, -1],
        [0, 1, 0, 0, 2, 16],
      );
      expect(number(ret)).toBe(5);
      expect(readFileSync(join(directory, "writev"), "utf8")).toBe("abcde");
    }));

  test("buffers that do not fit their description are refused before any call", () =>
    withAgent(async (agent) => {
      const refusals: [number[], number[]][] = [
        [[6], []],
        [[-2], []],
        [[0, 0], []],
        [[0], [0, 0]],
        [[0], [0, 1, 0]],
        [[0], [0, 0, 1]],
        [[0], [0, 0, -8]],
      ];
      for (const [ptrs, nested] of refusals) {
        const request = { nr: NR.getpid, args: [], bufs: [new Uint8Array(8)], ptrs, nested };
        expect((await agent.refused("SYSCALL", request)).errno).toBe(22);
      }
      const many = { nr: NR.getpid, args: [1, 2, 3, 4, 5, 6, 7], bufs: [], ptrs: [], nested: [] };
      expect((await agent.refused("SYSCALL", many)).errno).toBe(22);
    }));

  test("a large buffer goes there and back", () =>
    withAgent(async (agent) => {
      writeFileSync(join(directory, "large"), Buffer.alloc(5_000_000, "abcdefg"));
      const { fd } = await agent.call("FILE_OPEN", { path: at("large"), mode: 1, perm: -1 });
      const { ret, out } = await agent.syscall(
        NR.read,
        [fd!, 0, 5_000_000],
        [new Uint8Array(5_000_000)],
        [1],
      );
      expect(number(ret)).toBe(5_000_000);
      expect(Buffer.alloc(5_000_000, "abcdefg").equals((out as Uint8Array[])[0]!)).toBe(true);
    }));

  test("the child of a raw fork ends at once and is seen by the task", () =>
    withAgent(async (agent) => {
      if (process.arch !== "x64") return;
      const { ret } = await agent.syscall(NR.fork);
      expect(number(ret)).toBeGreaterThan(0);
      const waited = await agent.syscall(61, [ret!, 0, 0, 0], [new Uint8Array(4).fill(255)], [1]);
      expect(number(waited.ret)).toBe(number(ret));
      expect([...(waited.out as Uint8Array[])[0]!]).toEqual([0, 0, 0, 0]);
    }));

  test("an ioctl takes data, a plain argument, or fails with its errno", () =>
    withAgent(async (agent) => {
      const FIONREAD = 0x541b;
      const { fd } = await agent.call("FILE_OPEN", { path: at("large"), mode: 1, perm: -1 });
      const size = await agent.call("IOCTL", {
        fd: fd!,
        request: FIONREAD,
        arg: 0,
        data: new Uint8Array(4),
        bufs: [],
        offsets: [],
      });
      expect(number(size.ret)).toBe(0);
      expect(Buffer.from(size.data as Uint8Array).readUInt32LE()).toBe(
        statSync(join(directory, "large")).size,
      );
      const bad = await agent.call("IOCTL", {
        fd: fd!,
        request: FIONREAD,
        arg: 8,
        data: null,
        bufs: [],
        offsets: [],
      });
      expect(number(bad.ret)).toBe(EFAULT);
      expect(bad.data).toBeNull();
      const request = {
        fd: fd!,
        request: 1,
        arg: 0,
        data: new Uint8Array(4),
        bufs: [new Uint8Array(1)],
        offsets: [0],
      };
      expect((await agent.refused("IOCTL", request)).errno).toBe(22);
    }));

  test("the task's memory can be read, and what is not mapped is EFAULT", () =>
    withAgent(async (agent) => {
      const { out } = await agent.syscall(NR.uname, [0], [new Uint8Array(390)], [0]);
      expect(out).toBeDefined();
      const maps = await agent.call("FILE_GET", { path: bytes("/proc/self/maps"), limit: 1_000_000 });
      const program = text(maps.data)
        .split("\n")
        .find((line) => / 00000000 .*provium-agent/.test(line));
      const [first] = program!.split("-");
      const start = BigInt(`0x${first}`);
      const { data } = await agent.call("READ_MEM", { address: start, length: 4 });
      expect(Buffer.from(data as Uint8Array).toString("latin1")).toBe("\x7fELF");
      expect((await agent.refused("READ_MEM", { address: 16, length: 8 })).errno).toBe(14);
      expect((await agent.refused("READ_MEM", { address: start, length: -1 })).errno).toBe(22);
      expect((await agent.refused("READ_MEM", { address: start, length: 1n << 40n })).errno).toBe(22);
    }));
});

describe("files", () => {
  test("a file that is put is the file that is got", () =>
    withAgent(async (agent) => {
      for (const size of [0, 1, 4096, 2_500_000]) {
        const data = Buffer.alloc(size, "0123456789");
        expect((await agent.call("FILE_PUT", { path: at("whole"), data, perm: -1, more: false })).fd).toBe(
          -1,
        );
        const got = await agent.call("FILE_GET", { path: at("whole"), limit: 4_000_000 });
        expect(got.fd).toBe(-1);
        expect(data.equals(got.data as Uint8Array)).toBe(true);
      }
    }));

  test("of a file larger than the limit the rest is read through the descriptor", () =>
    withAgent(async (agent) => {
      const data = Buffer.alloc(40_000_000, "0123456789abc");
      writeFileSync(join(directory, "huge"), data);
      const got = await agent.call("FILE_GET", { path: at("huge"), limit: 1_000_000 });
      expect((got.data as Uint8Array).length).toBe(1_000_000);
      const rest = await readAll(agent, number(got.fd), 20_000_000);
      await agent.call("FILE_CLOSE", { fd: got.fd! });
      expect(Buffer.concat([got.data as Uint8Array, rest]).equals(data)).toBe(true);
      const exact = await agent.call("FILE_GET", { path: at("whole"), limit: 2_500_000 });
      expect(exact.fd).toBe(-1);
    }));

  test("a file of the kernel without a size is read to its end", () =>
    withAgent(async (agent) => {
      const { data } = await agent.call("FILE_GET", { path: bytes("/proc/self/status"), limit: 100_000 });
      expect(text(data)).toContain("provium-task");
    }));

  test("a file put in pieces is complete", () =>
    withAgent(async (agent) => {
      const { fd } = await agent.call("FILE_PUT", {
        path: at("pieces"),
        data: bytes("start,"),
        perm: 0o600,
        more: true,
      });
      const piece = Buffer.alloc(1_000_000, "piece");
      const writes = Array.from({ length: 10 }, () =>
        agent.call("FILE_WRITE", { fd: fd!, offset: -1, data: piece }),
      );
      for (const { written } of await Promise.all(writes)) expect(written).toBe(1_000_000);
      await agent.call("FILE_CLOSE", { fd: fd! });
      expect(statSync(join(directory, "pieces")).size).toBe(10_000_006);
    }));

  test("permissions are exact when given, and subject to the umask when not", () =>
    withAgent(async (agent) => {
      const mode = (name: string) => statSync(join(directory, name)).mode & 0o7777;
      for (const perm of [0o777, 0o4755, 0o600, 0o222]) {
        await agent.call("FILE_PUT", { path: at("exact"), data: bytes(""), perm, more: false });
        expect(mode("exact")).toBe(perm);
      }
      await agent.syscall(process.arch === "x64" ? 95 : 166, [0o027]);
      await agent.call("FILE_PUT", { path: at("masked"), data: bytes(""), perm: -1, more: false });
      expect(mode("masked")).toBe(0o640);
      await agent.call("FILE_OPEN", { path: at("opened"), mode: 2 | 4, perm: 0o666 });
      expect(mode("opened")).toBe(0o666);
    }));

  test("open modes, offsets and seeking work as on a file", () =>
    withAgent(async (agent) => {
      const { fd } = await agent.call("FILE_OPEN", { path: at("ring"), mode: 1 | 2 | 4, perm: -1 });
      const file = { fd: fd! };
      await agent.call("FILE_WRITE", { ...file, offset: -1, data: bytes("abcdef") });
      await agent.call("FILE_WRITE", { ...file, offset: 1, data: bytes("BC") });
      expect((await agent.call("FILE_SEEK", { ...file, offset: -2, whence: 2 })).offset).toBe(4);
      expect(text((await agent.call("FILE_READ", { ...file, offset: -1, length: 10 })).data)).toBe("ef");
      expect(text((await agent.call("FILE_READ", { ...file, offset: -1, length: 10 })).data)).toBe("");
      expect(text((await agent.call("FILE_READ", { ...file, offset: 0, length: 4 })).data)).toBe("aBCd");
      expect((await agent.refused("FILE_SEEK", { ...file, offset: -1, whence: 0 })).errno).toBe(22);
      expect((await agent.refused("FILE_SEEK", { ...file, offset: 0, whence: 3 })).errno).toBe(22);
      expect((await agent.refused("FILE_OPEN", { path: at("ring"), mode: 2 | 4 | 32, perm: -1 })).errno).toBe(
        17,
      );
      expect((await agent.refused("FILE_OPEN", { path: at("ring"), mode: 0, perm: -1 })).errno).toBe(22);
      expect((await agent.refused("FILE_OPEN", { path: at("ring"), mode: 64 + 1, perm: -1 })).errno).toBe(22);
      const append = await agent.call("FILE_OPEN", { path: at("ring"), mode: 16, perm: -1 });
      await agent.call("FILE_WRITE", { fd: append.fd!, offset: -1, data: bytes("!") });
      expect(readFileSync(join(directory, "ring"), "utf8")).toBe("aBCdef!");
      await agent.call("FILE_CLOSE", file);
      expect((await agent.refused("FILE_CLOSE", file)).errno).toBe(9);
      expect((await agent.refused("FILE_READ", { fd: 1n << 32n, offset: -1, length: 1 })).errno).toBe(9);
    }));

  test("an error names the operation and the path", () =>
    withAgent(async (agent) => {
      const missing = await agent.refused("FILE_GET", { path: bytes("/no/such/file"), limit: 10 });
      expect(missing).toMatchObject({
        errno: 2,
        operation: "open",
        reason: "/no/such/file: No such file or directory",
      });
      expect((await agent.refused("FILE_GET", { path: bytes("/tmp"), limit: 10 })).errno).toBe(21);
      expect((await agent.refused("FILE_GET", { path: bytes("/tmp/a\0b"), limit: 10 })).errno).toBe(22);
      expect(
        (
          await agent.refused("FILE_PUT", {
            path: bytes("/proc/nothing"),
            data: bytes(""),
            perm: -1,
            more: false,
          })
        ).errno,
      ).toBe(2);
    }));

  test("stat tells a link from what it points to", () =>
    withAgent(async (agent) => {
      await agent.run(["ln", "-sf", "ring", join(directory, "link")]);
      const link = await agent.call("STAT", { path: at("link"), follow: false });
      const target = await agent.call("STAT", { path: at("link"), follow: true });
      expect([number(link.type), number(target.type)]).toEqual([0o120000, 0o100000]);
      const facts = statSync(join(directory, "ring"), { bigint: true });
      expect(target).toMatchObject({ size: 7, ino: Number(facts.ino), nlink: 1 });
      expect(BigInt(number(target.mtime_ns))).toBe(BigInt(Number(facts.mtimeNs)));
    }));

  test("a directory of any size is listed completely", () =>
    withAgent(async (agent) => {
      await agent.call("MKDIR", { path: at("many/deep/er"), parents: true, perm: 0o751 });
      expect(statSync(join(directory, "many/deep/er")).mode & 0o7777).toBe(0o751);
      await agent.run(["sh", "-c", `cd ${directory}/many && seq -f %0200g 3000 | xargs touch`]);
      const names: string[] = [];
      let fd = -1;
      let parts = 0;
      do {
        const part = await agent.call("LISTDIR", { path: at("many"), fd });
        for (const name of part.names as Uint8Array[]) names.push(text(name));
        expect((part.types as unknown[]).length).toBe((part.names as unknown[]).length);
        fd = number(part.fd);
        parts++;
      } while (fd >= 0);
      expect(parts).toBeGreaterThan(1);
      expect(new Set(names).size).toBe(3001);
      expect((await agent.refused("LISTDIR", { path: at("ring"), fd: -1 })).errno).toBe(20);
    }));

  test("names are made, moved and removed", () =>
    withAgent(async (agent) => {
      await agent.call("MKDIR", { path: at("a"), parents: false, perm: -1 });
      expect((await agent.refused("MKDIR", { path: at("a"), parents: false, perm: -1 })).errno).toBe(17);
      await agent.call("MKDIR", { path: at("a"), parents: true, perm: -1 });
      expect((await agent.refused("MKDIR", { path: at("x/y"), parents: false, perm: -1 })).errno).toBe(2);
      expect((await agent.refused("MKDIR", { path: at("ring/y"), parents: true, perm: -1 })).errno).toBe(20);
      await agent.call("RENAME", { from: at("a"), to: at("b") });
      await agent.call("UNLINK", { path: at("b") });
      await agent.call("UNLINK", { path: at("link") });
      expect((await agent.refused("UNLINK", { path: at("many") })).errno).toBe(39);
      expect((await agent.refused("RENAME", { from: at("a"), to: at("b") })).errno).toBe(2);
    }));

  test("the clock is read in nanoseconds", () =>
    withAgent(async (agent) => {
      const before = BigInt(Date.now()) * 1_000_000n;
      const { ns } = await agent.call("CLOCK_GET");
      expect(BigInt(ns as bigint) >= before - 1_000_000n).toBe(true);
      expect((await agent.refused("CLOCK_SET", { ns: -5_000_000_000n })).errno).toBeOneOf([1, 22]);
    }));

  test("an agent of the host moves nobody's clock and restarts nothing, whoever runs it", () =>
    withAgent(async (agent) => {
      expect((await agent.refused("CLOCK_SET", { ns: 1_000_000_000_000_000_000n })).errno).toBe(1);
      expect((await agent.refused("CLOCK_ADVANCE", { ns: 1_000_000n })).errno).toBe(1);
      // LINUX_REBOOT_CMD_CAD_OFF would change what Ctrl-Alt-Del does, and no more. reboot(2).
      const args = [0xfee1dead, 672274793, 0];
      const { ret } = await agent.call("SYSCALL", { nr: 169, args, bufs: [], ptrs: [], nested: [] });
      expect(Number(ret)).toBe(-1);
    }));
});

describe("a task that is stuck or gone", () => {
  const uptime = (agent: AgentClient) => agent.call("STATE");

  test("the I/O process answers while the task waits for ever, and a cancel frees it", () =>
    withAgent(async (agent) => {
      const { id, answer } = agent.ask("SYSCALL", { nr: NR.pause, args: [], bufs: [], ptrs: [], nested: [] });
      const waiting = agent.call("CLOCK_GET");
      expect(text((await agent.call("ECHO", { data: bytes("awake") })).data)).toBe("awake");
      agent.tell("CANCEL", {}, id);
      await expect(answer).rejects.toMatchObject({ errno: 125 });
      await waiting;
    }));

  test("a queued request can be cancelled without touching the one that runs", () =>
    withAgent(async (agent) => {
      const running = agent.ask("SYSCALL", { nr: NR.pause, args: [], bufs: [], ptrs: [], nested: [] });
      const queued = agent.ask("CLOCK_GET", {});
      agent.tell("CANCEL", {}, queued.id);
      await expect(queued.answer).rejects.toMatchObject({ errno: 125 });
      agent.tell("CANCEL", {}, running.id);
      await expect(running.answer).rejects.toMatchObject({ errno: 125 });
    }));

  test("commands go on while the task waits", () =>
    withAgent(async (agent) => {
      const process = await agent.start(["cat"], { stdin_open: true });
      const stuck = agent.ask("SYSCALL", { nr: NR.pause, args: [], bufs: [], ptrs: [], nested: [] });
      stuck.answer.catch(() => {});
      await agent.call("PROC_STDIN", { process, data: bytes("still here"), close: true });
      expect((await agent.finished(process)).stdout).toBe("still here");
      await uptime(agent);
    }));

  test("a task that exits fails its requests, and the next one gets a fresh task", () =>
    withAgent(async (agent) => {
      const first = number((await agent.ready()).task_pid);
      // While the task sleeps the other two arrive, so that both wait when it exits.
      const time = new Uint8Array(new BigInt64Array([0n, 200_000_000n]).buffer);
      const nap = agent.call("SYSCALL", {
        nr: NR.nanosleep,
        args: [0, 0],
        bufs: [time],
        ptrs: [0],
        nested: [],
      });
      const exit = agent.call("SYSCALL", { nr: NR.exit_group, args: [3], bufs: [], ptrs: [], nested: [] });
      const queued = agent.call("CLOCK_GET");
      await Promise.allSettled([nap, exit, queued]);
      await expect(exit).rejects.toMatchObject({ errno: 0, reason: "the main task exited with status 3" });
      await expect(queued).rejects.toMatchObject({ errno: 0 });
      const gone = agent.pushed.find((frame) => frame.kind === 9);
      expect(gone?.fields).toMatchObject({ actor: 1, how: 0, code: 3 });
      expect(number((await agent.syscall(NR.getpid)).ret)).not.toBe(first);
    }));

  test("a killed task is replaced, and its commands live on", () =>
    withAgent(async (agent) => {
      const process = await agent.start(["cat"], { stdin_open: true });
      const { ret } = await agent.syscall(NR.getpid);
      await expect(agent.syscall(NR.kill, [ret!, 9])).rejects.toMatchObject({
        reason: "the main task was killed by signal 9",
      });
      await agent.call("PROC_STDIN", { process, data: bytes("alive"), close: true });
      expect((await agent.finished(process)).stdout).toBe("alive");
      expect(number((await agent.syscall(NR.getpid)).ret)).not.toBe(number(ret));
    }));

  test("a task that executes another program is replaced", () =>
    withAgent(async (agent) => {
      const path = Buffer.from("/bin/sleep\0");
      const argv = Buffer.alloc(24);
      const environment = Buffer.alloc(8);
      const call = agent.syscall(
        NR.execve,
        [0, 0, 0],
        [path, argv, environment, bytes("sleep\0"), bytes("1000\0")],
        [0, 1, 2],
        [1, 3, 0, 1, 4, 8],
      );
      await expect(call).rejects.toMatchObject({ reason: expect.stringContaining("replaced itself") });
      expect(number((await agent.syscall(NR.getpid)).ret)).toBeGreaterThan(0);
    }));

  test("more requests than the queue holds are refused, and the rest is served", () =>
    withAgent(async (agent) => {
      const stuck = agent.ask("SYSCALL", { nr: NR.pause, args: [], bufs: [], ptrs: [], nested: [] });
      stuck.answer.catch(() => {});
      const queued = Array.from({ length: 300 }, () =>
        agent.call("CLOCK_GET").then(
          () => "served",
          (error) => error.errno,
        ),
      );
      agent.tell("CANCEL", {}, stuck.id);
      const results = await Promise.all(queued);
      expect(results.filter((result) => result === "served").length).toBe(255);
      expect(results.filter((result) => result === 11).length).toBe(45);
    }));
});

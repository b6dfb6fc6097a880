import { afterEach, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { closeFd, pipePair, readSome, setNonBlocking, socketPair, writeSome } from "../../../src/sys/libc.ts";
import { after, all, type Op, sleep, until } from "../../../src/sys/op.ts";
import { spawn } from "../../../src/sys/process.ts";
import { POLLIN, Reactor } from "../../../src/sys/reactor.ts";
import { type JsonObject, Qmp, QmpError } from "../../../src/vmm/qmp.ts";

const LONG = 20_000;
const openDescriptors = (): number => readdirSync("/proc/self/fd").length;
const GREETING =
  '{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}}, "capabilities": []}}\r\n';
const cleanUp: (() => void)[] = [];
afterEach(() => {
  for (const close of cleanUp.splice(0)) close();
});

/** A monitor whose other end answers each command with what `answer` returns. */
const monitor = (
  answer: (command: JsonObject) => string,
): { qmp: Qmp; reactor: Reactor; say: (text: string) => void; hangUp: () => void } => {
  const reactor = new Reactor();
  const [ours, theirs] = socketPair();
  setNonBlocking(theirs);
  const qmp = new Qmp(ours, reactor);
  const say = (text: string): void => void writeSome(theirs, new TextEncoder().encode(text));
  let open = true;
  const watch = reactor.watch(theirs, POLLIN, () => {
    const buffer = new Uint8Array(65536);
    const n = readSome(theirs, buffer);
    if (n <= 0) return watch.close();
    for (const line of new TextDecoder().decode(buffer.subarray(0, n)).trim().split("\n"))
      say(answer(JSON.parse(line) as JsonObject));
  });
  const hangUp = (): void => {
    if (!open) return;
    open = false;
    watch.close();
    closeFd(theirs);
  };
  cleanUp.push(() => qmp.close(), hangUp);
  return { qmp, reactor, say, hangUp };
};

const ok = (command: JsonObject): string => `{"return": {}, "id": ${command.id}}\r\n`;

test("the greeting names QEMU's version", () => {
  const { qmp, reactor, say } = monitor(ok);
  say(GREETING);
  reactor.run(qmp.open(after(LONG)));
  expect(qmp.version).toBe("7.2.22");
});

test("answers find their commands in any order, however the bytes are cut", () => {
  const held: number[] = [];
  const { qmp, reactor, say } = monitor((command) => {
    held.push(command.id as number);
    if (held.length < 2) return "";
    const [first, second] = held as [number, number];
    return `{"return": "second", "id": ${second}}\n{"return": "fi`.concat(`rst", "id": ${first}`);
  });
  const finish = function* (): Op<void> {
    yield* until(() => held.length === 2, after(LONG));
    say("}\n");
  };
  expect(
    reactor.run(
      all<unknown>([
        qmp.execute("a", undefined, after(LONG)),
        qmp.execute("b", { x: 1 }, after(LONG)),
        finish(),
      ]),
    ),
  ).toEqual(["first", "second", undefined]);
});

test("a refusal is an error with QEMU's own words", () => {
  const { qmp, reactor } = monitor(
    (c) =>
      `{"id": ${c.id}, "error": {"class": "CommandNotFound", "desc": "The command xyz has not been found"}}\n`,
  );
  expect(() => reactor.run(qmp.execute("xyz", undefined, after(LONG)))).toThrow(QmpError);
  expect(() => reactor.run(qmp.execute("xyz", undefined, after(LONG)))).toThrow(
    "QEMU refused xyz: The command xyz has not been found",
  );
});

test("events reach every listener between answers", () => {
  const { qmp, reactor } = monitor(
    (c) => `{"event": "STOP", "timestamp": {}}\n{"event": "SHUTDOWN", "data": {"guest": true}}\n${ok(c)}`,
  );
  const heard: unknown[] = [];
  qmp.onEvent((event) => heard.push(event));
  reactor.run(qmp.execute("stop", undefined, after(LONG)));
  expect(heard).toEqual([
    { name: "STOP", data: {} },
    { name: "SHUTDOWN", data: { guest: true } },
  ]);
});

test("a monitor that hangs up fails the command under way and every later one", () => {
  const { qmp, reactor, hangUp } = monitor(() => {
    hangUp();
    return "";
  });
  expect(() => reactor.run(qmp.execute("quit", undefined, after(LONG)))).toThrow("QEMU closed its monitor");
  expect(() => reactor.run(qmp.execute("stop", undefined, after(LONG)))).toThrow("QEMU closed its monitor");
});

test("silence ends with the command's deadline and its name", () => {
  const { qmp, reactor } = monitor(() => "");
  expect(() => reactor.run(qmp.execute("stop", undefined, after(1)))).toThrow(
    "QEMU did not answer stop in time",
  );
});

test("a line that is not JSON ends the monitor instead of the runner", () => {
  const { qmp, reactor, say } = monitor(ok);
  say("hello\n");
  expect(() => reactor.run(qmp.open(after(LONG)))).toThrow("not JSON: hello");
  reactor.run(sleep(0));
  qmp.close();
  qmp.close();
});

test("a descriptor travels with its command, in order, and none of ours stays open behind it", () => {
  const before = openDescriptors();
  const [ours, theirs] = socketPair();
  const reactor = new Reactor();
  const qmp = new Qmp(ours, reactor);
  const [reader, writer] = pipePair();
  // More than a socket holds goes out first, so the line with the descriptor waits its turn.
  qmp.post("ballast", { text: "x".repeat(4_000_000) });
  const op = qmp.giveFd("p", writer, after(LONG));
  op.next();
  op.return(undefined);
  closeFd(writer);
  qmp.close();
  closeFd(theirs);
  expect(readSome(reader, new Uint8Array(1))).toBe(0);
  closeFd(reader);
  expect(openDescriptors()).toBe(before);
});

test("QEMU itself takes descriptors by name and by set, several at once", () => {
  const qemu = Bun.which("qemu-system-x86_64");
  // What the VM suites need: without it they fail, which says enough.
  if (qemu === null) return;
  const reactor = new Reactor();
  const [ours, theirs] = socketPair();
  const child = spawn(
    {
      program: qemu,
      args: [
        ...["-nodefaults", "-no-user-config", "-display", "none", "-machine", "none"],
        ...["-chardev", "socket,id=m,fd=3", "-qmp", "chardev:m"],
      ],
      env: process.env,
      descriptors: [{ from: theirs, to: 3 }],
    },
    reactor,
  );
  closeFd(theirs);
  const qmp = new Qmp(ours, reactor);
  const [reader, writer] = pipePair();
  try {
    reactor.run(qmp.open(after(LONG)));
    const add = qmp.execute("add-fd", { "fdset-id": 7 }, after(LONG), writer);
    reactor.run(
      all<unknown>([qmp.giveFd("a", writer, after(LONG)), add, qmp.giveFd("b", writer, after(LONG))]),
    );
    const sets = reactor.run(qmp.execute("query-fdsets", undefined, after(LONG)));
    expect(sets).toMatchObject([{ "fdset-id": 7, fds: [{}] }]);
    for (const fdname of ["a", "b"]) reactor.run(qmp.execute("closefd", { fdname }, after(LONG)));
    reactor.run(
      qmp.execute(
        "chardev-add",
        { id: "out", backend: { type: "file", data: { out: "/dev/fdset/7", append: true } } },
        after(LONG),
      ),
    );
    expect(() => reactor.run(qmp.execute("getfd", { fdname: "c" }, after(LONG)))).toThrow(
      "No file descriptor supplied",
    );
  } finally {
    qmp.close();
    child.close();
    closeFd(writer);
  }
  // Every copy that QEMU had is gone with it.
  expect(readSome(reader, new Uint8Array(1))).toBe(0);
  closeFd(reader);
});

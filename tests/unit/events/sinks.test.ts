import { afterEach, beforeEach, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { UsageError } from "../../../src/errors/errors.ts";
import { encodeFrame } from "../../../src/events/frame.ts";
import { readRecording } from "../../../src/events/recording.ts";
import { EventSinks, type SinkOptions } from "../../../src/events/sinks.ts";
import { History } from "../../../src/events/socket.ts";
import { EventStream } from "../../../src/events/stream.ts";
import type { ProviumEvent } from "../../../src/events/types.ts";

let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "provium-sinks-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const said: string[] = [];
const open = async (options: Partial<SinkOptions>): Promise<{ stream: EventStream; sinks: EventSinks }> => {
  said.length = 0;
  const stream = new EventStream();
  const sinks = await EventSinks.open(stream, {
    stdout: false,
    complain: (text) => void said.push(text),
    ...options,
  });
  return { stream, sinks };
};

const begin = (stream: EventStream): void =>
  stream.emit("stream_started", { protocol_version: 2, host_version: "0" });
const end = (stream: EventStream): void =>
  stream.emit("run_completed", { interrupted: false, duration_ns: 1 });

const kindsIn = (path: string): string[] => {
  const kinds: string[] = [];
  expect(readRecording(path, (event) => kinds.push(event.kind))).toBe(true);
  return kinds;
};

test("a file holds the frames in order, and after another round only that one", async () => {
  const file = join(directory, "events");
  const { stream, sinks } = await open({ file });
  begin(stream);
  for (let i = 0; i < 1000; i++) stream.emit("output", { path: "a", text: "x".repeat(i) });
  end(stream);
  begin(stream);
  stream.emit("output", { path: "b", text: "second" });
  end(stream);
  await sinks.close();
  expect(kindsIn(file)).toEqual(["stream_started", "output", "run_completed"]);
});

test("a full disk is said once, with the file, and the stream goes on", async () => {
  const { stream, sinks } = await open({ file: "/dev/full" });
  begin(stream);
  await Bun.sleep(1);
  end(stream);
  await sinks.close();
  expect(said).toHaveLength(1);
  expect(said[0]).toContain("--save-events /dev/full: ENOSPC");
  expect(sinks.lost).toBe(true);
});

test("a file that cannot be made is a usage error", async () => {
  await expect(open({ file: join(directory, "no/such/place") })).rejects.toThrow(
    "--save-events: cannot write",
  );
});

/** Connects; `heard`: the first bytes have come, `all`: what has come when the other side closes. */
const client = (path: string): { readonly heard: Promise<void>; readonly all: Promise<Uint8Array> } => {
  const heard = Promise.withResolvers<void>();
  const all = new Promise<Uint8Array>((resolve, reject) => {
    const parts: Uint8Array[] = [];
    Bun.connect({
      unix: path,
      socket: {
        data: (_socket, bytes) => {
          parts.push(Uint8Array.from(bytes));
          heard.resolve();
        },
        close: () => resolve(Buffer.concat(parts)),
        error: (_socket, error) => reject(error),
      },
    }).catch(reject);
  });
  return { heard: heard.promise, all };
};

test("every client of the socket gets the whole stream, also one that comes late", async () => {
  const path = join(directory, "socket");
  const { stream, sinks } = await open({ socket: path });
  expect(statSync(path).mode & 0o777).toBe(0o600);
  const early = client(path);
  begin(stream);
  stream.emit("output", { path: "a", text: "x".repeat(300_000) });
  await early.heard;
  const late = client(path);
  await late.heard;
  end(stream);
  await sinks.close();
  const [first, second] = await Promise.all([early.all, late.all]);
  expect(first.byteLength).toBeGreaterThan(300_000);
  expect(Buffer.compare(first, second)).toBe(0);
  expect(existsSync(path)).toBe(false);
});

test("a client that takes nothing is dropped, and closing does not wait for it for ever", async () => {
  const path = join(directory, "socket");
  const { stream, sinks } = await open({ socket: path });
  const socket = await Bun.connect({ unix: path, socket: { data: () => {} } });
  socket.pause();
  begin(stream);
  for (let i = 0; i < 50; i++) {
    stream.emit("output", { path: "a", text: "x".repeat(1_000_000) });
    await Bun.sleep(1);
  }
  await sinks.close();
  expect(stream.congested).toBe(false);
  socket.end();
});

test("a socket file that nobody listens at is replaced; a live one and a plain file are refused", async () => {
  const path = join(directory, "socket");
  writeFileSync(path, "");
  await expect(open({ socket: path })).rejects.toThrow("is no socket");
  rmSync(path);
  const first = await open({ socket: path });
  await expect(open({ socket: path })).rejects.toThrow("somebody listens");
  await first.sinks.close();
  await expect(open({ socket: join(directory, "x".repeat(120)) })).rejects.toThrow("107 bytes");
});

test("another user's socket is refused in words", async () => {
  // Only root can be somebody else.
  if (process.getuid?.() !== 0) return;
  const path = join(directory, "socket");
  const theirs = Bun.listen({ unix: path, socket: { data: () => {} } });
  chmodSync(path, 0o600);
  chmodSync(directory, 0o755);
  process.seteuid?.(65534);
  const refusal = await open({ socket: path }).catch((error) => error);
  process.seteuid?.(0);
  theirs.stop();
  expect(refusal).toBeInstanceOf(UsageError);
  expect(refusal.message).toBe(`--events-socket: ${path} is somebody else's socket (EACCES)`);
});

test("the history keeps what happened and forgets what was printed first", () => {
  const history = new History(10_000);
  const add = (event: ProviumEvent): void => history.add(event.kind, encodeFrame(event));
  const ts = 1n;
  add({ ts, kind: "stream_started", payload: { protocol_version: 2, host_version: "0" } });
  for (let i = 0; i < 40; i++) {
    add({ ts, kind: "output", payload: { path: `o${i}`, text: "x".repeat(500) } });
    add({ ts, kind: "test_started", payload: { path: "a", name: `t${i}`, meta: {} } });
  }
  const file = join(directory, "replay");
  writeFileSync(file, Buffer.concat([...history.replay()]));
  const events: ProviumEvent[] = [];
  readRecording(file, (event) => events.push(event));
  expect(events[0]?.kind).toBe("stream_started");
  expect(events[1]).toMatchObject({ kind: "notice", payload: { level: "warning" } });
  expect(events.filter(({ kind }) => kind === "test_started")).toHaveLength(40);
  expect(events.at(-2)).toMatchObject({ kind: "output", payload: { path: "o39" } });
  expect(readFileSync(file).byteLength).toBeLessThan(12_000);
});

test("slow readers make the stream congested, and relieved ones undo it", () => {
  const stream = new EventStream();
  const told: boolean[] = [];
  const stop = stream.onCongestion((congested) => void told.push(congested));
  const [a, b] = [{}, {}];
  stream.backlog(a, 10e6);
  stream.backlog(b, 10e6);
  stream.backlog(a, 0);
  stream.backlog(b, 1e6);
  expect(told).toEqual([true, false]);
  stop();
  stream.backlog(a, 1e9);
  expect(told).toHaveLength(2);
});

test("a recording that is cut off or foreign is told from a whole one", () => {
  const file = join(directory, "events");
  const frame = encodeFrame({
    ts: 1,
    kind: "run_completed",
    payload: { interrupted: false, duration_ns: 1 },
  });
  writeFileSync(file, Buffer.concat([frame, frame.subarray(0, 7)]));
  const seen: ProviumEvent[] = [];
  expect(readRecording(file, (event) => seen.push(event))).toBe(false);
  expect(seen.map(({ ts }) => ts)).toEqual([1n]);
  writeFileSync(file, "this is text, not frames");
  expect(() => readRecording(file, () => {})).toThrow("is no recording of events");
  expect(() => readRecording(join(directory, "none"), () => {})).toThrow("ENOENT");
  writeFileSync(file, encodeFrame([1, 2]));
  expect(() => readRecording(file, () => {})).toThrow("a frame that is no event");
});

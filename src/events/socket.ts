/**
 * Events for whoever connects to a Unix socket. Each client gets the stream from its beginning: the history is kept
 * within bounds, so of a long run what tests printed may be missing (a notice says how much). A client that does not
 * keep up is dropped; it never holds up the run.
 */

import { lstatSync, rmSync } from "node:fs";
import { UsageError } from "../errors/errors.ts";
import { encodeFrame } from "./frame.ts";
import { eventTime } from "./stream.ts";
import type { EventKind, ProviumEvent } from "./types.ts";

const HISTORY_BYTES = 16 * 1024 * 1024;
/** Bytes that may wait for one client: more than a whole history. */
const CLIENT_BYTES = 2 * HISTORY_BYTES;
/** At the end a client has this long to take something, again and again until it has everything. */
const PATIENCE_MS = 2000;
/** `sun_path` of sockaddr_un (unix(7)) with its final zero. */
const LONGEST_PATH = 107;

/** Events that tell details: the first to be forgotten. */
const DETAILS: ReadonlySet<EventKind> = new Set(["output", "attachment", "op", "pool_state"]);

interface Kept {
  readonly bytes: Uint8Array;
  readonly detail: boolean;
}

/** The frames of a run, without the oldest details when they become too many. */
export class History {
  private frames: Kept[] = [];
  private bytes = 0;
  private forgotten = 0;

  constructor(private readonly limit = HISTORY_BYTES) {}

  add(kind: EventKind, bytes: Uint8Array): void {
    if (kind === "stream_started") {
      this.frames = [];
      this.bytes = 0;
      this.forgotten = 0;
    }
    this.frames.push({ bytes, detail: DETAILS.has(kind) });
    this.bytes += bytes.byteLength;
    if (this.bytes <= this.limit) return;
    this.forget((frame) => frame.detail);
    if (this.bytes > this.limit) this.forget(() => true);
  }

  /** What a client that connects now is told: the first frame, what is missing, the rest. */
  replay(): readonly Uint8Array[] {
    const frames = this.frames.map((frame) => frame.bytes);
    if (this.forgotten === 0) return frames;
    const text = `${this.forgotten} earlier events are not repeated: there were too many`;
    const notice: ProviumEvent = { ts: eventTime(), kind: "notice", payload: { level: "warning", text } };
    return [...frames.slice(0, 1), encodeFrame(notice), ...frames.slice(1)];
  }

  /** Drops the oldest frames of a kind until half of the room is free again; the first frame stays. */
  private forget(which: (frame: Kept) => boolean): void {
    this.frames = this.frames.filter((frame, i) => {
      if (i === 0 || this.bytes <= this.limit / 2 || !which(frame)) return true;
      this.bytes -= frame.bytes.byteLength;
      this.forgotten++;
      return false;
    });
  }
}

type Socket = Bun.Socket<Client>;

class Client {
  private readonly queue: Uint8Array[] = [];
  waiting = 0;
  /** When it last took something. */
  moved = performance.now();

  constructor(private readonly socket: Socket) {}

  send(bytes: Uint8Array): void {
    this.queue.push(bytes);
    this.waiting += bytes.byteLength;
    this.drain();
  }

  drain(): void {
    for (let next = this.queue[0]; next !== undefined; next = this.queue[0]) {
      const written = this.socket.write(next);
      if (written <= 0) return;
      this.moved = performance.now();
      this.waiting -= written;
      if (written < next.byteLength) {
        this.queue[0] = next.subarray(written);
        return;
      }
      this.queue.shift();
    }
  }
}

export class SocketSink {
  private readonly history = new History();
  private readonly clients = new Map<Socket, Client>();

  private constructor(
    private readonly path: string,
    private readonly server: Bun.UnixSocketListener<Client>,
  ) {}

  /** Listens; only this user may connect. Throws `UsageError` when somebody listens there already. */
  static async open(path: string): Promise<SocketSink> {
    await makeWay(path);
    let sink: SocketSink | undefined;
    // The permissions of the socket file come from the umask (unix(7)).
    const before = process.umask(0o177);
    try {
      const server = Bun.listen<Client>({
        unix: path,
        socket: {
          open: (socket) => sink?.joined(socket),
          drain: (socket) => socket.data.drain(),
          close: (socket) => void sink?.clients.delete(socket),
          error: (socket) => void sink?.clients.delete(socket),
          // Clients have nothing to say.
          data: () => {},
        },
      });
      sink = new SocketSink(path, server);
      return sink;
    } catch (cause) {
      throw new UsageError(`--events-socket: cannot listen at ${path}`, { cause });
    } finally {
      process.umask(before);
    }
  }

  write(kind: EventKind, frame: Uint8Array): void {
    this.history.add(kind, frame);
    for (const [socket, client] of this.clients) {
      client.send(frame);
      if (client.waiting > CLIENT_BYTES) {
        this.clients.delete(socket);
        socket.terminate();
      }
    }
  }

  /** Waits until the clients have everything, as long as they take something; then the socket is gone. */
  async close(): Promise<void> {
    const behind = (): boolean =>
      [...this.clients.values()].some(
        ({ waiting, moved }) => waiting > 0 && performance.now() - moved < PATIENCE_MS,
      );
    while (behind()) await Bun.sleep(10);
    for (const socket of this.clients.keys()) socket.end();
    this.server.stop();
    rmSync(this.path, { force: true });
  }

  private joined(socket: Socket): void {
    const client = new Client(socket);
    socket.data = client;
    this.clients.set(socket, client);
    for (const frame of this.history.replay()) client.send(frame);
  }
}

/** Removes a socket file that nobody listens at any more. */
const makeWay = async (path: string): Promise<void> => {
  if (Buffer.byteLength(path) > LONGEST_PATH)
    throw new UsageError(
      `--events-socket: ${path} is longer than the ${LONGEST_PATH} bytes of a socket's path`,
    );
  const info = lstatSync(path, { throwIfNoEntry: false });
  if (info === undefined) return;
  if (!info.isSocket()) throw new UsageError(`--events-socket: ${path} exists and is no socket`);
  const refusal = await attempt(path);
  if (refusal === undefined) throw new UsageError(`--events-socket: somebody listens at ${path} already`);
  // Anything else says only that it is not for us.
  if (refusal.code !== "ECONNREFUSED")
    throw new UsageError(`--events-socket: ${path} is somebody else's socket (${refusal.code})`);
  try {
    rmSync(path, { force: true });
  } catch (cause) {
    throw new UsageError(`--events-socket: nobody listens at ${path}, but it cannot be removed`, { cause });
  }
};

/** Why nobody can be reached there; undefined: somebody listens. */
const attempt = async (path: string): Promise<NodeJS.ErrnoException | undefined> => {
  try {
    const socket = await Bun.connect({ unix: path, socket: { data: () => {} } });
    socket.end();
    return undefined;
  } catch (error) {
    return error as NodeJS.ErrnoException;
  }
};

/** Where the frames of a stream go besides the reporters: a file, standard output, a listening socket. */

import { closeSync, openSync } from "node:fs";
import { UsageError } from "../errors/errors.ts";
import { encodeFrame } from "./frame.ts";
import { Outlet } from "./outlet.ts";
import { SocketSink } from "./socket.ts";
import type { EventStream } from "./stream.ts";

export interface SinkOptions {
  /** A file that is begun anew with each round of the stream. */
  readonly file?: string | undefined;
  readonly stdout: boolean;
  /** Path of a socket to listen at. */
  readonly socket?: string | undefined;
  /** Tells people about a sink that failed, once. */
  readonly complain: (text: string) => void;
}

const STDOUT = 1;

export class EventSinks {
  private readonly outlets: Outlet[] = [];
  private fd: number | undefined;
  private socket: SocketSink | undefined;
  /** Events that were to be kept are lost. */
  lost = false;

  private constructor(
    private readonly stream: EventStream,
    private readonly options: SinkOptions,
  ) {}

  /** Opens what is asked for and subscribes to the stream. Throws `UsageError` for what cannot be opened. */
  static async open(stream: EventStream, options: SinkOptions): Promise<EventSinks> {
    const sinks = new EventSinks(stream, options);
    if (options.file !== undefined) sinks.openFile(options.file);
    if (options.stdout) sinks.addOutlet(STDOUT, "--events-stdout");
    if (options.socket !== undefined) sinks.socket = await SocketSink.open(options.socket);
    if (sinks.outlets.length > 0 || sinks.socket !== undefined)
      stream.subscribe((event) => {
        if (event.kind === "stream_started") for (const outlet of sinks.outlets) outlet.restart();
        // Encoded once; nobody writes to the bytes.
        const frame = encodeFrame(event);
        for (const outlet of sinks.outlets) outlet.write(frame);
        sinks.socket?.write(event.kind, frame);
      });
    return sinks;
  }

  /** Waits for what is under way and closes. */
  async close(): Promise<void> {
    await Promise.all([...this.outlets.map((outlet) => outlet.flushed()), this.socket?.close()]);
    if (this.fd !== undefined) closeSync(this.fd);
    this.fd = undefined;
  }

  private openFile(path: string): void {
    try {
      this.fd = openSync(path, "w");
    } catch (cause) {
      throw new UsageError(`--save-events: cannot write ${path}`, { cause });
    }
    this.addOutlet(this.fd, `--save-events ${path}`);
  }

  private addOutlet(fd: number, what: string): void {
    const outlet: Outlet = new Outlet(fd, {
      backlog: (bytes) => this.stream.backlog(outlet, bytes),
      failed: (error) => {
        // A reader that has seen enough is no failure of the run.
        if (error.code === "EPIPE") return;
        this.lost = true;
        this.options.complain(`${what}: ${error.message}; the events of this run are incomplete`);
      },
    });
    this.outlets.push(outlet);
  }
}

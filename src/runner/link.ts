/** The runner's end of the socket to the dispatcher. When the dispatcher is gone, so is the runner. */

import { InterruptedError, RefusedError } from "../errors/errors.ts";
import { encodeFrame, FrameReader, unpack } from "../events/frame.ts";
import { eventTime } from "../events/stream.ts";
import type { Emit } from "../events/types.ts";
import { EAGAIN, readSome, setCloseOnExec, writeSome } from "../sys/libc.ts";
import { NEVER, type Op, Pending, until } from "../sys/op.ts";
import { POLLIN, POLLOUT, Reactor } from "../sys/reactor.ts";
import type { Answer, Down, Job, Request, Up } from "./protocol.ts";
import type { Reply, Talk, Word } from "./talk.ts";

const READ_BYTES = 64 * 1024;

/** Called when the other end is gone; does not return. */
export type LinkEnd = () => never;

export class Link implements Talk {
  private readonly reader = new FrameReader();
  private readonly buffer = new Uint8Array(READ_BYTES);
  private readonly asked = new Map<number, Pending<Answer>>();
  private job: Job | undefined;
  private nextId = 1;
  /** A frame that waits for the next one. */
  private held: Uint8Array | undefined;
  /** Why the file is to end now. */
  stopped: string | undefined;
  readonly words: Word[] = [];
  /** Told of an interruption as soon as it arrives: whoever waits for words is not listening just then. */
  onInterrupt: (() => void) | undefined;

  /** Takes over `fd`, a connected stream socket, blocking or not: it is read only when there is something. */
  constructor(
    private readonly fd: number,
    private readonly end: LinkEnd,
  ) {
    setCloseOnExec(fd);
  }

  /** Serves the socket from this reactor. */
  attach(reactor: Reactor): void {
    reactor.watch(this.fd, POLLIN, () => this.receive());
  }

  send(message: Up): void {
    this.write(
      this.held === undefined ? encodeFrame(message) : Buffer.concat([this.held, encodeFrame(message)]),
    );
    this.held = undefined;
  }

  private write(frame: Uint8Array): void {
    for (let at = 0; at < frame.byteLength; ) {
      const n = writeSome(this.fd, frame.subarray(at));
      if (n === -EAGAIN) this.awaitRoom();
      else if (n < 0) this.end();
      else at += n;
    }
  }

  /**
   * The end of a test waits for what comes next, the start of another or the end of the file: one write for
   * both. Everything else goes out at once, so that whatever ends this process, the dispatcher knows where it was.
   */
  readonly emit: Emit = (kind, payload) => {
    const message: Up = { type: "event", event: { ts: eventTime(), kind, payload } as never };
    if (kind === "test_passed" && this.held === undefined) this.held = encodeFrame(message);
    else this.send(message);
  };

  /** Waits for the next file to run. */
  *nextJob(): Op<Job> {
    yield* until(() => this.job !== undefined, NEVER);
    const job = this.job as Job;
    this.job = undefined;
    this.stopped = undefined;
    return job;
  }

  /** Asks the dispatcher for something. What comes when the asker gives up, or after that, is handed to `late`. */
  *ask(request: Request, late: (answer: Answer) => void): Op<Answer> {
    const id = this.nextId++;
    const pending = new Pending<Answer>();
    this.asked.set(id, pending);
    this.send({ type: "request", id, request });
    let heard = false;
    try {
      const answer = yield* pending.wait(NEVER, () => new InterruptedError("no answer"));
      heard = true;
      return answer;
    } finally {
      if (!pending.settled) this.asked.set(id, new Late(late));
      else if (!heard && !pending.failed) late(pending.take());
    }
  }

  /** Asks for something that needs no answer. */
  order(request: Request): void {
    this.send({ type: "request", id: this.nextId++, request });
  }

  tell(reply: Reply): void {
    this.send({ type: "reply", reply });
  }

  /** Waits until the socket takes more: on a reactor of its own, because a frame must not be torn apart. */
  private awaitRoom(): void {
    const reactor = new Reactor();
    reactor.watch(this.fd, POLLOUT, () => {});
    reactor.turn(NEVER);
  }

  private receive(): void {
    const n = readSome(this.fd, this.buffer);
    if (n === -EAGAIN) return;
    if (n <= 0) this.end();
    this.reader.push(this.buffer.subarray(0, n), (body) => this.take(unpack(body) as Down));
  }

  private take(message: Down): void {
    if (message.type === "run") this.job = message.job;
    else if (message.type === "stop") this.stopped = message.reason;
    else if (message.type === "word") {
      if (message.word.say === "interrupt") this.onInterrupt?.();
      else this.words.push(message.word);
    } else {
      const pending = this.asked.get(message.id);
      this.asked.delete(message.id);
      if (message.type === "answer") pending?.settle(message.value);
      else pending?.fail(new RefusedError(message.message, { hint: message.hint }));
    }
  }
}

/** Stands in for an asker that has given up. */
class Late extends Pending<Answer> {
  constructor(private readonly heard: (answer: Answer) => void) {
    super();
  }

  override settle(answer: Answer): void {
    this.heard(answer);
  }

  override fail(): void {}
}

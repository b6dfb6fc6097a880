/**
 * One session with an agent: requests go out with an id, answers come back by that id, pushes are handed to
 * whom they concern. When the channel ends, everything that waits fails with the reason.
 */

import type { Channel, ChannelListener } from "../channel/channel.ts";
import { ApiError, InterruptedError, ProtocolError, TimeoutError, VmDeadError } from "../errors/errors.ts";
import type { SessionMark } from "../lab/ports.ts";
import { type Deadline, type Op, until, type Wait } from "../sys/op.ts";
import { encode, Frame, type RequestName } from "./codec.ts";
import { ACTOR_IO, ACTOR_MAIN, MAX_FRAME_BYTES, MESSAGES, type Payload, type Reply } from "./messages.ts";
import { actorName, refusal, type Subject, subjectText, taskGone, tooLarge, workerEnded } from "./wording.ts";

const LAST_REQUEST_ID = 0x7fff_ffff;

/** Makes a handle work, as it was when it was captured, in another session. */
export type Revival = (client: Client) => void;

/** Receives what the agent pushes about one process. Throws ProtocolError for what cannot be. */
export interface ProcessListener {
  /** Why the session cannot be parked now, if so. */
  readonly busy?: string | undefined;
  /** How it stands now, for a session that goes on from here; absent: it does not outlive this one. */
  capture?(): Revival;
  output(data: Payload<"DATA">): void;
  exited(exit: Payload<"EXIT">): void;
  /** The session ended. */
  lost(reason: Error): void;
}

/** A request under way. */
export interface Request<M extends RequestName> {
  readonly settled: boolean;
  /** The answer; throws the GuestError of a refusal, or what ended the session. Only once settled. */
  take(): Reply<M>;
  /** Waits for the answer. Ended from outside, it gives the request up. */
  wait(): Op<Reply<M>>;
  /**
   * The answer is not wanted any more: the agent is told, and what it has made, or makes yet, goes to `late`.
   * Harmless once the answer is taken.
   */
  abandon(): void;
}

class Outstanding<M extends RequestName> implements Request<M>, Wait {
  readonly deadline = Number.POSITIVE_INFINITY;
  settled = false;
  abandoned = false;
  private taken = false;
  private value: Reply<M> | undefined;
  private error: Error | undefined;

  constructor(
    readonly client: Client,
    readonly id: number,
    readonly name: M,
    readonly actor: number,
    readonly subject: Subject,
    /** What to do with a positive answer to an abandoned request: release what it made. */
    readonly late: ((reply: Reply<M>) => void) | undefined,
    /** Told when the request is settled. */
    readonly done: ((error: Error | undefined) => void) | undefined,
  ) {}

  ready(): boolean {
    return this.settled;
  }

  answer(reply: Reply<M>): void {
    this.value = reply;
    this.settled = true;
    if (this.abandoned) this.late?.(reply);
    this.done?.(undefined);
  }

  fail(error: Error): void {
    if (this.settled) return;
    this.error = error;
    this.settled = true;
    this.done?.(error);
  }

  take(): Reply<M> {
    this.taken = true;
    if (this.error !== undefined) throw this.error;
    return this.value as Reply<M>;
  }

  *wait(): Op<Reply<M>> {
    try {
      while (!this.settled) yield this;
      return this.take();
    } catch (error) {
      if (error instanceof InterruptedError) error.inside(subjectText(this.subject));
      throw error;
    } finally {
      this.abandon();
    }
  }

  abandon(): void {
    if (this.taken || this.abandoned) return;
    this.abandoned = true;
    if (!this.settled) this.client.cancel(this.id);
    else if (this.value !== undefined) this.late?.(this.value);
  }
}

export interface RequestOptions<M extends RequestName> {
  readonly actor: number;
  readonly subject: Subject;
  readonly late?: (reply: Reply<M>) => void;
  readonly done?: (error: Error | undefined) => void;
  /** Nobody is in a hurry: goes out together with the next request. */
  readonly later?: boolean;
}

export class Client implements ChannelListener {
  private readonly requests = new Map<number, Outstanding<RequestName>>();
  private readonly processes = new Map<number, ProcessListener>();
  /** Tasks ended under these; whether the agent still answers them does not matter. */
  private readonly orphaned = new Set<number>();
  /** Workers that are no more, and what became of them; `undefined`: ended by order. */
  private readonly lostWorkers = new Map<number, Payload<"TASK_GONE"> | undefined>();
  private readonly endListeners: ((reason: Error) => void)[] = [];
  private readonly workers = new Set<{ moveTo(client: Client): void }>();
  private readonly held: Uint8Array[][] = [];
  /** What is to be sent once the parked session goes on. */
  private parked: Uint8Array[][] | undefined;
  private lastId: number;
  private lastProcess: number;
  private lastWorker: number;
  private reason: Error | undefined;

  /** With `inherited` it goes on with a session that another host has parked. */
  constructor(
    private readonly channel: Channel,
    private readonly inherited?: SessionMark,
  ) {
    this.lastId = inherited?.lastRequest ?? 0;
    this.lastProcess = inherited?.lastProcess ?? 0;
    this.lastWorker = inherited?.lastWorker ?? ACTOR_MAIN;
  }

  /** Why the session is over, once it is. */
  get ended(): Error | undefined {
    return this.reason;
  }

  /** Called once when the session ends otherwise than by `close()` without a reason. */
  onEnd(listener: (reason: Error) => void): void {
    this.endListeners.push(listener);
  }

  /** Sends a request. The answer is waited for separately, so several can be under way. */
  begin<M extends RequestName>(name: M, payload: Payload<M>, options: RequestOptions<M>): Request<M> {
    const { actor, subject, late, done } = options;
    const id = this.nextId();
    const request = new Outstanding<M>(this, id, name, actor, subject, late, done);
    const gone = this.reason ?? this.goneWorker(actor, subject);
    if (gone !== undefined) {
      request.fail(gone);
      return request;
    }
    const body = encode(name, actor, id, payload);
    const size = body.reduce((sum, part) => sum + part.byteLength, 0);
    if (size > MAX_FRAME_BYTES) {
      request.fail(tooLarge(size, subject));
      return request;
    }
    this.requests.set(id, request as unknown as Outstanding<RequestName>);
    if (options.later === true) this.held.push(body);
    else {
      this.transmit(body);
    }
    return request;
  }

  /** What was held back goes out in front of what is sent now: for the agent they are one read. */
  private transmit(body: Uint8Array[]): void {
    if (this.parked !== undefined) {
      this.parked.push(...this.held.splice(0), body);
      return;
    }
    for (const held of this.held.splice(0)) this.channel.queue(...held);
    this.channel.send(...body);
  }

  /**
   * Brings the session to rest: once this returns nothing is on its way in either direction. What is sent meanwhile
   * waits for `unpark`. Answers where it stands.
   */
  *park(deadline: Deadline): Op<SessionMark> {
    if (this.reason !== undefined) throw this.reason;
    for (const { busy } of this.processes.values())
      if (busy !== undefined) throw new ApiError(`the guest cannot be saved now: ${busy}`);
    const request = this.begin("PARK", {}, { actor: ACTOR_IO, subject: { call: "snapshot" } });
    this.parked = [];
    let rests = false;
    try {
      if (!(yield* until(() => request.settled, deadline)))
        throw new TimeoutError("the agent did not come to rest in time");
      const token = Number(request.take().token);
      rests = true;
      const { lastId: lastRequest, lastProcess, lastWorker } = this;
      return { token, lastRequest, lastProcess, lastWorker };
    } finally {
      if (!rests) this.unpark();
    }
  }

  /** Lets a parked session go on. */
  unpark(): void {
    const waiting = this.parked;
    this.parked = undefined;
    if (waiting === undefined || this.reason !== undefined) return;
    this.post("RESUME", { token: 0 }, ACTOR_IO);
    for (const body of waiting) this.channel.send(...body);
  }

  /** How the handles of the session stand, for one that goes on from here. */
  capture(): Revival {
    const lost = [...this.lostWorkers];
    const workers = [...this.workers];
    const processes = [...this.processes].flatMap(([handle, process]) => {
      const revival = process.capture?.();
      return revival === undefined ? [] : [{ handle, process, revival }];
    });
    return (client) => {
      for (const [worker, gone] of lost) client.lostWorkers.set(worker, gone);
      for (const worker of workers) worker.moveTo(client);
      for (const { handle, process, revival } of processes) {
        revival(client);
        client.processes.set(handle, process);
      }
    };
  }

  /** A worker of this session: it goes with it where the session goes on. */
  addWorker(worker: { moveTo(client: Client): void }): void {
    this.workers.add(worker);
  }

  /** Sends a request and waits for its answer. */
  *call<M extends RequestName>(name: M, payload: Payload<M>, options: RequestOptions<M>): Op<Reply<M>> {
    return yield* this.begin(name, payload, options).wait();
  }

  /** Sends a request whose answer nobody waits for. */
  post<M extends RequestName>(name: M, payload: Payload<M>, actor: number): void {
    if (this.reason === undefined) this.begin(name, payload, { actor, subject: { call: name } });
  }

  /** Tells the agent that `bytes` of a stream have been taken. Not answered. */
  credit(process: number, stream: 1 | 2, bytes: number): void {
    if (this.reason === undefined) this.transmit(encode("CREDIT", ACTOR_IO, 0, { process, stream, bytes }));
  }

  /** Gives up a request that is under way. */
  cancel(id: number): void {
    if (this.reason === undefined) this.transmit(encode("CANCEL", ACTOR_IO, id, {}));
  }

  /** A process handle that was never used in this session. */
  newProcess(listener: ProcessListener): number {
    const handle = ++this.lastProcess;
    this.processes.set(handle, listener);
    return handle;
  }

  /** The agent has forgotten the process: nothing about it may come any more. */
  forgetProcess(handle: number): void {
    this.processes.delete(handle);
  }

  /** The number of a worker that was never used in this session. */
  newWorker(): number {
    return ++this.lastWorker;
  }

  /** A worker was ended by order: requests to it are refused from now on. */
  retireWorker(worker: number): void {
    if (!this.lostWorkers.has(worker)) this.lostWorkers.set(worker, undefined);
  }

  /** Why a worker is gone, in words for `subject`; undefined while it lives. */
  goneWorker(worker: number, subject: Subject): Error | undefined {
    if (!this.lostWorkers.has(worker)) return undefined;
    const gone = this.lostWorkers.get(worker);
    return gone === undefined ? workerEnded(worker, subject) : taskGone(gone, subject);
  }

  /** Waits until few bytes are queued for the agent. */
  *drained(bytes: number): Op<void> {
    if (this.channel.queued > bytes) yield* this.channel.drained(bytes);
  }

  /** Gives back the memory of an answer's bytes that have been copied. */
  recycle(bytes: Uint8Array): void {
    this.channel.recycle(bytes);
  }

  frame(body: Uint8Array): void {
    const frame = new Frame(body);
    const { kind } = frame;
    if (kind === MESSAGES.OK.kind) this.answer(frame);
    else if (kind === MESSAGES.ERROR.kind) this.refuse(frame);
    else if (kind === MESSAGES.DATA.kind) {
      const data = frame.payload("DATA");
      const process = this.processOf(data.process, "DATA");
      if (process !== undefined) process.output(data);
      // Nobody here wants it, and the writer shall not be held back.
      else if (data.data.byteLength > 0)
        this.credit(Number(data.process), Number(data.stream) === 1 ? 1 : 2, data.data.byteLength);
    } else if (kind === MESSAGES.EXIT.kind) {
      const exit = frame.payload("EXIT");
      this.processOf(exit.process, "EXIT")?.exited(exit);
    } else if (kind === MESSAGES.READY.kind && frame.requestId > 0) this.acknowledge(frame);
    else if (kind === MESSAGES.WORKER_STARTED.kind) this.workerStarted(frame);
    else if (kind === MESSAGES.TASK_GONE.kind) this.taskGone(frame.payload("TASK_GONE"));
    else
      throw new ProtocolError(`the agent sent ${frame.name}, which is no message to the host at this point`);
  }

  closed(reason: Error): void {
    const message = `the agent is gone: ${reason.message}`;
    this.end(
      reason instanceof ProtocolError
        ? reason
        : new VmDeadError(message, "", {
            cause: reason,
            hint: "the console log shows whether the guest's kernel or init killed the agent",
          }),
    );
  }

  /** Ends the session: what waits fails with `reason`. Idempotent. */
  close(reason?: Error): void {
    if (this.reason !== undefined) return;
    const listeners = reason === undefined ? [] : this.endListeners.splice(0);
    this.end(reason ?? new VmDeadError("the session with the agent was closed", ""), listeners);
  }

  private end(reason: Error, listeners = this.endListeners.splice(0)): void {
    if (this.reason !== undefined) return;
    this.reason = reason;
    this.channel.close();
    const requests = [...this.requests.values()];
    const processes = [...this.processes.values()];
    this.requests.clear();
    this.processes.clear();
    for (const request of requests) request.fail(reason);
    for (const process of processes) process.lost(reason);
    for (const listener of listeners) listener(reason);
  }

  private answer(frame: Frame): void {
    const request = this.requestOf(frame);
    if (request === undefined) return;
    // Decoded before it is struck off: an answer that does not fit ends the session, and this request with it.
    const reply = frame.reply(request.name);
    this.requests.delete(request.id);
    request.answer(reply);
  }

  /** A READY that carries a request id is the answer to SHUTDOWN, as the classic protocol has it. */
  private acknowledge(frame: Frame): void {
    const request = this.requestOf(frame);
    if (request !== undefined && request.name !== "SHUTDOWN")
      throw new ProtocolError(`the agent answered ${request.name} with READY`);
    this.requests.delete(frame.requestId);
    request?.answer({});
  }

  private workerStarted(frame: Frame): void {
    const request = this.requestOf(frame);
    if (request === undefined) return;
    if (request.name !== "SPAWN_WORKER")
      throw new ProtocolError(`the agent answered ${request.name} with WORKER_STARTED`);
    const started = frame.payload("WORKER_STARTED");
    this.requests.delete(request.id);
    request.answer(started);
  }

  private refuse(frame: Frame): void {
    const error = frame.payload("ERROR");
    if (frame.requestId === 0)
      throw new ProtocolError(`the agent gave up: ${refusal(error, ACTOR_IO, { call: "session" }).message}`);
    const request = this.requestOf(frame);
    this.requests.delete(frame.requestId);
    request?.fail(refusal(error, request.actor, request.subject));
  }

  /** The request that a frame answers; undefined where the answer has become meaningless. */
  private requestOf(frame: Frame): Outstanding<RequestName> | undefined {
    const id = frame.requestId;
    const request = this.requests.get(id);
    if (request === undefined) {
      if (this.orphaned.delete(id) || id <= (this.inherited?.lastRequest ?? 0)) return undefined;
      throw new ProtocolError(
        `the agent answered request ${id} with ${frame.name}, and there is no such request`,
      );
    }
    return request;
  }

  /** Whom it concerns; undefined for a process that an earlier host of the session has started. */
  private processOf(handle: number | bigint, what: string): ProcessListener | undefined {
    const listener = this.processes.get(Number(handle));
    if (listener === undefined && Number(handle) > (this.inherited?.lastProcess ?? 0))
      throw new ProtocolError(`the agent sent ${what} for process ${handle}, and there is no such process`);
    return listener;
  }

  private taskGone(gone: Payload<"TASK_GONE">): void {
    const actor = Number(gone.actor);
    if (actor === ACTOR_IO || actor > this.lastWorker)
      throw new ProtocolError(`TASK_GONE for ${actorName(actor)}`);
    if (actor > ACTOR_MAIN) this.lostWorkers.set(actor, gone);
    for (const [id, request] of [...this.requests]) {
      if (request.actor !== actor) continue;
      this.requests.delete(id);
      this.orphaned.add(id);
      request.fail(taskGone(gone, request.subject));
    }
  }

  private nextId(): number {
    do this.lastId = this.lastId === LAST_REQUEST_ID ? 1 : this.lastId + 1;
    while (this.requests.has(this.lastId) || this.orphaned.has(this.lastId));
    return this.lastId;
  }
}

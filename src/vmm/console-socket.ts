/**
 * The console for programs outside of the test (socat, minicom): a Unix socket. Each client hears what the console says
 * from the moment that it connects, as fast as it reads, and types into the device behind /dev/console.
 *
 * Served while the test waits for anything, like the console itself.
 */

import { rmSync } from "node:fs";
import { InterruptedError } from "../errors/errors.ts";
import type { ConsolePort } from "../lab/ports.ts";
import { closeFd, EAGAIN, readSome, writeSome } from "../sys/libc.ts";
import { after, Begun, type Deadline, monotonic, NEVER, type Op } from "../sys/op.ts";
import { POLLIN, POLLOUT, type Reactor, type Tended, type Watch } from "../sys/reactor.ts";
import { acceptFrom, listenAt } from "../sys/unix-socket.ts";

const CHUNK_BYTES = 64 * 1024;
const TYPED_BYTES = 4096;
const MOST_CLIENTS = 16;
/** A client for whom this process has no descriptor waits in the queue of the socket, and is asked for again after this. */
const SHORTAGE_MS = 100;

class Client {
  private watch: Watch;
  private offset: number;
  /** It does not take more now. */
  private full = false;
  /** It has left; what it has typed before is still to be heard. */
  private deaf = false;
  /** What it has typed is on its way: nothing more is read from it before the guest has taken that. */
  private typing = false;
  private typed: Begun<void> | undefined;
  private untend = (): void => {};

  constructor(
    private readonly fd: number,
    private readonly port: ConsolePort,
    private readonly reactor: Reactor,
    private readonly gone: (client: Client) => void,
  ) {
    this.offset = port.length;
    this.watch = this.look();
  }

  /** Something was said that it has not heard and would take. */
  get behind(): boolean {
    return !this.full && !this.deaf && this.port.length > this.offset;
  }

  /** Tells what it takes now. */
  tell(): void {
    while (this.behind) {
      const from = this.port.kept(this.offset);
      const said = this.port.read(from, CHUNK_BYTES);
      const count = writeSome(this.fd, said);
      if (count === -EAGAIN) {
        this.full = true;
        this.watch.events |= POLLOUT;
        return;
      }
      if (count < 0) {
        this.deaf = true;
        return;
      }
      // Where the log has lost its file, it has nothing to say in its middle.
      this.offset = said.byteLength === 0 ? this.port.length : from + count;
    }
  }

  close(): void {
    this.watch.close();
    this.untend();
    this.typed?.abandon(new InterruptedError("the console's socket is closed"));
    closeFd(this.fd);
    this.gone(this);
  }

  private look(): Watch {
    return this.reactor.watch(this.fd, POLLIN | (this.full ? POLLOUT : 0), (events) => this.serve(events));
  }

  private serve(events: number): void {
    if ((events & POLLOUT) !== 0) {
      this.full = false;
      this.watch.events &= ~POLLOUT;
    }
    if ((events & ~POLLOUT) === 0) return;
    // It has gone, which poll would say for as long as it is asked; what it has typed is still to arrive.
    if (this.typing) this.watch.close();
    else this.hear();
  }

  private hear(): void {
    const data = new Uint8Array(TYPED_BYTES);
    const count = readSome(this.fd, data);
    if (count > 0) this.type(data.subarray(0, count));
    // The end of what it types is not yet the end of what it hears: that shows as a hang-up.
    else if (count === 0 && (this.watch.events & POLLIN) !== 0) this.watch.events &= ~POLLIN;
    else if (count !== -EAGAIN) this.close();
  }

  private type(data: Uint8Array): void {
    this.typing = true;
    this.watch.events &= ~POLLIN;
    this.typed = new Begun(this.write(data));
    if (this.typing) this.untend = this.reactor.tend(this.typed);
  }

  private *write(data: Uint8Array): Op<void> {
    yield* this.port.write(data, NEVER);
    this.typing = false;
    this.untend();
    this.watch.close();
    this.watch = this.look();
  }
}

export class ConsoleSocket implements Tended {
  /** When clients are looked for again; `NEVER` while the reactor tells of them. */
  deadline: Deadline = NEVER;
  private readonly clients = new Set<Client>();
  private readonly release: (() => void)[] = [];
  private readonly door: Watch;

  /** Makes the socket `path`. Throws `HostError` where that cannot be. */
  constructor(
    readonly path: string,
    port: ConsolePort,
    reactor: Reactor,
  ) {
    const listening = listenAt(path);
    const gone = (client: Client): void => {
      this.clients.delete(client);
      this.listen();
    };
    this.door = reactor.watch(listening, POLLIN, () => {
      while (this.clients.size < MOST_CLIENTS) {
        const accepted = acceptFrom(listening);
        if (accepted === "nobody") return;
        if (accepted === "shortage") {
          // Poll would say that somebody waits for as long as it is asked.
          this.deadline = after(SHORTAGE_MS);
          break;
        }
        this.clients.add(new Client(accepted, port, reactor, gone));
      }
      // The next one waits in the queue of the socket.
      this.door.events = 0;
    });
    const untend = reactor.tend(this);
    this.release.push(
      untend,
      this.door.close,
      () => closeFd(listening),
      () => rmSync(path, { force: true }),
    );
  }

  get due(): boolean {
    if (monotonic() >= this.deadline) return true;
    for (const client of this.clients) if (client.behind) return true;
    return false;
  }

  advance(): void {
    if (monotonic() >= this.deadline) this.listen();
    for (const client of [...this.clients]) client.tell();
  }

  private listen(): void {
    this.deadline = NEVER;
    this.door.events = POLLIN;
  }

  /** Tells the clients the rest, as far as they take it, and lets them go. Idempotent. */
  close(): void {
    for (const act of this.release.splice(0)) act();
    for (const client of [...this.clients]) client.tell();
    for (const client of [...this.clients]) client.close();
  }
}

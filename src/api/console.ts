/** The guest's console: `vm:console()`. Both consoles (ttyS0 and hvc0) in one log, also after the VM's end. */

import { ApiError, TimeoutError, VmDeadError } from "../errors/errors.ts";
import type { ConsolePort } from "../lab/ports.ts";
import { consoleLines } from "../lab/session.ts";
import { defineClass, method } from "../lua/native.ts";
import { after, type Deadline, NEVER, type Op, until } from "../sys/op.ts";
import { durationMs } from "./arguments.ts";
import type { GuestHandle } from "./handles.ts";
import { registryOf } from "./held.ts";
import { ConsoleStream } from "./stream.ts";

const EXPECT_MS = 30_000;
const CHUNK_BYTES = 64 * 1024;

export class Console {
  constructor(readonly vm: GuestHandle) {}

  /** The captured console. Throws before the first boot, when there is none. */
  port(call: string): ConsolePort {
    const { console, name, state } = this.vm.vm;
    if (console !== undefined) return console;
    throw new ApiError(`vm \`${name}\` is ${state}; ${call} needs a vm that has been booted`);
  }
}

/** `vm:console_socket_path()`: where other programs reach the console of this boot. */
export const consoleSocketPath = (guest: GuestHandle): string => {
  const call = "console_socket_path";
  const { name, state } = guest.vm;
  if (state !== "booted" && state !== "paused")
    throw new ApiError(`vm \`${name}\` is ${state}; ${call} needs booted or paused`);
  return exposed(new Console(guest).port(call), call).socketPath();
};

/** The port, where there is a device behind it. */
const exposed = (port: ConsolePort, call: string): ConsolePort => {
  if (port.missing !== true) return port;
  throw new ApiError(`${call}: VMM does not expose a console socket`, {
    hint: "The local VMM boots no kernel; run with --vmm qemu to have a machine.",
  });
};

/** Looks for a byte string in what a console has captured, without looking twice at the same bytes. */
class Search {
  private offset = 0;
  private pending = Buffer.alloc(0);

  constructor(
    private readonly port: ConsolePort,
    private readonly pattern: Uint8Array,
  ) {}

  /** Reads on to the end of what is captured. True once the pattern has been seen. */
  found(): boolean {
    while (this.offset < this.port.length) {
      const offset = this.port.kept(this.offset);
      if (offset !== this.offset) this.pending = Buffer.alloc(0);
      const chunk = this.port.read(offset, CHUNK_BYTES);
      if (chunk.byteLength === 0) return false;
      this.offset = offset + chunk.byteLength;
      const window = Buffer.concat([this.pending, chunk]);
      if (window.indexOf(this.pattern) >= 0) return true;
      // A match may begin in the last bytes of this chunk.
      this.pending = Buffer.from(
        window.subarray(Math.max(0, window.byteLength - this.pattern.byteLength + 1)),
      );
    }
    return false;
  }
}

function* expectText(
  self: Console,
  pattern: Uint8Array,
  deadline: Deadline,
  seconds: number,
): Op<Uint8Array> {
  const port = self.port("console:expect");
  const { vm } = self.vm;
  const search = new Search(port, pattern);
  let matched = search.found();
  const over = (): boolean => vm.state !== "booted" && vm.state !== "paused";
  for (let seen = port.length; !matched && !over(); seen = port.length) {
    if (!(yield* until(() => port.length !== seen || over(), deadline))) break;
    matched = search.found();
  }
  if (matched || search.found()) return pattern;
  const what = `console:expect: ${JSON.stringify(new TextDecoder().decode(pattern))}`;
  const tail = port.tail(4096);
  if (over())
    throw new VmDeadError(
      `${what} not seen before vm \`${vm.name}\` was ${vm.state}${consoleLines(tail)}`,
      tail,
    );
  throw new TimeoutError(`${what} not seen within ${seconds} s${consoleLines(tail)}`);
}

/** What the console of this boot says from now on. */
const liveStream = (self: Console): ConsoleStream => {
  const port = exposed(self.port("console:read"), "console:read");
  const guest = self.vm;
  const { vm } = guest;
  let offset = port.length;
  const { life } = vm;
  return new ConsoleStream(guest, registryOf(guest), {
    take: (limit) => {
      if (offset >= port.length) return undefined;
      const from = port.kept(offset);
      const chunk = port.read(from, limit);
      offset = from + chunk.byteLength;
      return chunk.byteLength === 0 ? undefined : chunk;
    },
    get pending() {
      return port.length - offset;
    },
    get ended() {
      return !vm.lives(life) || (vm.state !== "booted" && vm.state !== "paused");
    },
    failure: undefined,
    *close() {},
  });
};

const consoleMethod = method<Console>;

defineClass<Console>({
  name: "Console",
  of: Console,
  doc: "The console of a VM. `vm:console()` always works; the console must exist when it is used.",
  methods: {
    read_log: consoleMethod("(): string", "Everything captured since the last boot.", (self) =>
      self.port("console:read_log").log(),
    ),
    expect: consoleMethod(
      "(pattern: string, timeout?: duration): string",
      "Waits until the byte string occurs in the console's log since the last boot, and returns it. Default: 30 s.",
      function* (self, args) {
        const pattern = args.bytes(1, "pattern");
        const ms = args.absent(2) ? EXPECT_MS : durationMs(args.any(2), "console:expect: timeout");
        return yield* expectText(self, pattern, after(ms), ms / 1000);
      },
    ),
    write: consoleMethod(
      "(data: string, opts?: {timeout?: duration})",
      "Types into the guest's /dev/console. Without a timeout, or with 0, it waits as long as it takes.",
      function* (self, args) {
        const data = args.bytes(1, "data");
        const opts = args.optTable(2, "console:write: opts");
        if (opts?.has("timeout_ms"))
          throw new ApiError('opts.timeout_ms is not supported (use timeout = "500ms" or timeout = 0.5)');
        opts?.only(["timeout"]);
        const timeout = opts?.get("timeout");
        const ms = timeout === undefined ? 0 : durationMs(timeout, "console:write: opts.timeout");
        const port = self.port("console:write");
        yield* self.vm.vm.call("console:write", () => port.write(data, ms === 0 ? NEVER : after(ms)));
      },
    ),
    read: consoleMethod(
      "(): ConsoleStream",
      "A stream of what the console says from now on. Any number of them may be open.",
      (self) => liveStream(self),
    ),
    close: consoleMethod("()", "Does nothing: the console stays with its VM.", () => undefined),
  },
  equals: (a, b) => a.vm.vm === b.vm.vm,
  text: (self) => `Console of vm \`${self.vm.vm.name}\``,
});

/** A system call that is under way: what `syscall_async` returns. And memory of the task, to look at what it does. */

import { ApiError, GuestError, TimeoutError } from "../errors/errors.ts";
import { MAX_CONTENT_BYTES } from "../guest/messages.ts";
import type { PendingCall, SyscallResult } from "../lab/ports.ts";
import type { Registry } from "../lab/registry.ts";
import { defineClass, method } from "../lua/native.ts";
import { results } from "../lua/values.ts";
import { after, called, NEVER, type Op } from "../sys/op.ts";
import { durationMs } from "./arguments.ts";
import { type GuestHandle, type GuestMethods, guestMethod } from "./handles.ts";
import { Held, registryOf } from "./held.ts";
import { buffersSize } from "./kernel-call.ts";
import { syscallAnswer, syscallRequest } from "./syscall.ts";

export class AsyncCall extends Held {
  private result: SyscallResult | undefined;

  constructor(
    guest: GuestHandle,
    registry: Registry,
    readonly pending: PendingCall,
    private readonly name: string,
    private readonly answer: (result: SyscallResult) => unknown,
  ) {
    super(guest, "process", registry);
  }

  get label(): string {
    return `${this.name} of ${this.guest.label}`;
  }

  get done(): boolean {
    return this.closed || this.lost || this.pending.done;
  }

  /** What the call gave, also when asked again. TimeoutError when the time is over first; the call goes on. */
  *await(ms: number | undefined): Op<unknown> {
    if (this.result === undefined) {
      this.checkLife("await");
      if (this.closed) throw new ApiError(`await: ${this.label} was cancelled`);
      const deadline = ms === undefined ? NEVER : after(Math.max(1, ms));
      const result = yield* this.guest.vm.call("await", () =>
        called(this.pending.wait(deadline), this.name, this.guest.label),
      );
      if (result === undefined)
        throw new TimeoutError(`await: ${this.label} has not returned within ${(ms ?? 0) / 1000} s`, {
          hint: "It goes on; `cancel()` ends it.",
        });
      this.result = result;
      this.forget();
    }
    return this.answer(this.result);
  }

  protected *release(): Op<void> {
    yield* this.pending.cancel();
  }
}

const callMethod = method<AsyncCall>;

defineClass<AsyncCall>({
  name: "PendingCall",
  of: AsyncCall as unknown as abstract new () => AsyncCall,
  doc: "A system call under way, made by a helper that shares memory and descriptors with its task. Other calls go on meanwhile. It is cancelled with its scope at the latest.",
  methods: {
    await: callMethod(
      "(timeout?: duration): integer | {ret, result, errno, out_bufs}",
      "Waits until the call has returned and gives what `syscall` would have, also when asked again. Raises when the time is over first; the call goes on then.",
      function* (self, args) {
        return yield* self.await(args.absent(1) ? undefined : durationMs(args.any(1), "await: timeout"));
      },
    ),
    done: callMethod("(): boolean", "Whether `await` would answer at once.", (self) => self.done),
    cancel: callMethod("()", "Ends the call. Does nothing when it has returned.", function* (self) {
      yield* self.close();
    }),
  },
  text: (self) => `PendingCall: ${self.label} (${self.done ? "done" : "under way"})`,
  close: (self) => self.close(),
});

export const ASYNC_METHODS: GuestMethods = {
  syscall_async: guestMethod(
    "(call: string|integer, ...: integer | {args, bufs, ptrs, nested}): PendingCall",
    "Starts a system call that may block and goes on. Arguments as of `syscall`. The call is made by a helper that shares memory and descriptors with this task, so what it changes of its own credentials stays with the helper.",
    function* (self, args) {
      const { request, answersTable } = syscallRequest(args, "syscall_async");
      buffersSize("syscall_async", request.bufs);
      const registry = registryOf(self);
      const pending = yield* self.call("syscall_async", (actor) => actor.syscallAsync(request));
      const answer = (result: SyscallResult): unknown => syscallAnswer(self.flavour, answersTable, result);
      return new AsyncCall(self, registry, pending, `system call ${request.nr}`, answer);
    },
  ),
  read_mem: guestMethod(
    "(address: integer, length: integer): string | nil, integer",
    "Bytes from this task's own memory, up to 16 MiB; nil and an errno where nothing is mapped.",
    function* (self, args) {
      const address = args.integer(1, "address");
      const length = args.count(2, "length");
      if (length > MAX_CONTENT_BYTES)
        throw new ApiError(`read_mem: length must be at most ${MAX_CONTENT_BYTES}, got number ${length}`);
      try {
        return yield* self.call("read_mem", (actor) => actor.readMem(address, length));
      } catch (error) {
        if (error instanceof GuestError && error.errno > 0) return results(null, error.errno);
        throw error;
      }
    },
  ),
};

/**
 * The error classes of the product. Code tells errors apart by class, never by their text.
 *
 * An error answers four questions: what happened (`message`), why (`cause`), where (`where`: VM, operation,
 * Lua file and line) and what to do now (`hint`). `render.ts` turns them into text, in one place.
 * `ProviumError` and its children are expected failures; anything else that surfaces is a bug of ours.
 */

export interface ErrorDetails {
  /** VM name, operation or file that the failure belongs to, as in "vm `web`: run". */
  readonly where?: string | undefined;
  /** One sentence that says what to do now. */
  readonly hint?: string | undefined;
  readonly cause?: unknown;
}

export class ProviumError extends Error {
  readonly where: string | undefined;
  readonly hint: string | undefined;

  constructor(message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = new.target.name;
    this.where = details.where;
    this.hint = details.hint;
  }
}

/** A call into the host's kernel failed. */
export class SysError extends ProviumError {
  constructor(
    readonly operation: string,
    readonly errno: number,
    readonly code: string,
    text: string,
    details: ErrorDetails = {},
  ) {
    super(`${operation}: ${text} (${code})`, details);
  }
}

/** Wrong words on the command line. Exit code 2. */
export class UsageError extends ProviumError {}

/** `provium.toml`, a profile or an environment variable is wrong. Exit code 2. */
export class ConfigError extends ProviumError {}

/** Something the host lacks: QEMU, a device, a capability, a program. */
export class HostError extends ProviumError {}

/** The run as a whole refused what a file asked for: more than the pool has, a fixture that cannot be built. */
export class RefusedError extends HostError {}

/** A disk refused an operation: `errno` of the host, or one that a fault made up. */
export class DiskError extends ProviumError {
  constructor(
    message: string,
    readonly errno: number,
    /** A fault did it. */
    readonly injected: boolean,
    details: ErrorDetails = {},
  ) {
    super(message, details);
  }
}

/** A wrong argument or a call in the wrong state from a test. */
export class ApiError extends ProviumError {}

/** The guest's kernel or agent refused an operation: `errno` as the guest saw it, 0 for a refusal of the agent's own. */
export class GuestError extends ProviumError {
  constructor(
    message: string,
    readonly errno: number,
    details: ErrorDetails = {},
  ) {
    super(message, details);
  }

  /** The same refusal, told of the machine that it came from. */
  from(machine: string): GuestError {
    const { message, errno, where, hint, cause } = this;
    return new GuestError(message, errno, {
      where: where === undefined ? machine : `${machine}, ${where}`,
      hint,
      cause,
    });
  }
}

/** What came over a channel breaks the protocol; the session is over. */
export class ProtocolError extends ProviumError {}

/** The machine is gone: panic, dead QEMU, dead agent. Carries the last lines of its console. */
export class VmDeadError extends ProviumError {
  constructor(
    message: string,
    readonly consoleTail: string,
    details: ErrorDetails = {},
  ) {
    super(message, details);
  }
}

/** A bounded wait ran out. */
export class TimeoutError extends ProviumError {}

/** The wait was ended from outside: test deadline, cancelled task, stopped run. Not to be swallowed on the way out. */
export class InterruptedError extends ProviumError {
  private call: string | undefined;
  private owner: string | undefined;
  private told = false;

  constructor(
    private readonly order: string,
    details: ErrorDetails = {},
  ) {
    super(order, details);
  }

  /** What went on: "syscall 34 of vm `a`". Undefined when no call was interrupted. */
  get place(): string | undefined {
    return this.owner === undefined ? this.call : `${this.call} of ${this.owner}`;
  }

  /** Told on the way out by the calls that it ends, the innermost first: which one it was, and of whom. */
  inside(call: string, owner?: string): void {
    if (this.told) return;
    this.call ??= call;
    this.owner ??= owner;
    this.message = `${this.order} inside ${this.place}`;
  }

  /** What went on beside the call, in tasks that end with it. */
  beside(calls: readonly string[]): void {
    if (calls.length > 0) this.message += `; tasks beside it were inside ${calls.join(", ")}`;
  }

  /** It has come out of the test's own code: the calls around that did not wait, the code did or computed. */
  leftCode(): void {
    this.told = true;
  }
}

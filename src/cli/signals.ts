/** What Ctrl-C and its relatives do to a run: the first asks it to end, the second ends it now. */

const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
type Name = keyof typeof SIGNALS;

export class Interruption {
  /** Exit status that tells which signal came first; undefined while none came. */
  status: number | undefined;
  /** Tells people what goes on; replaced by whoever has painted on the terminal. */
  announce = (text: string): void => void process.stderr.write(`\nprovium: ${text}\n`);
  private listener: ((reason: string) => void) | undefined;
  private readonly handlers = new Map<Name, () => void>();

  constructor() {
    for (const name of Object.keys(SIGNALS) as Name[]) {
      const handler = (): void => this.received(name);
      this.handlers.set(name, handler);
      process.on(name, handler);
    }
  }

  /** Calls `listener` at each signal, at once when one has come already. */
  listen(listener: (reason: string) => void): void {
    this.listener = listener;
    if (this.status !== undefined) listener("the run was interrupted");
  }

  [Symbol.dispose](): void {
    for (const [name, handler] of this.handlers) process.off(name, handler);
  }

  private received(name: Name): void {
    const again = this.status !== undefined;
    this.status ??= SIGNALS[name];
    if (name === "SIGINT" && !again) this.announce("ending the run; once more ends it now");
    if (this.listener !== undefined) this.listener(`the run was interrupted by ${name}`);
    // Nothing has been started yet that would have to be ended first.
    else if (again) process.exit(this.status);
  }
}

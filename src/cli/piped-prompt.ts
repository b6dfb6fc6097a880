/** The prompt of a pipe: pieces of Lua from standard input, no prompt, no echo. */

import type { EventStream } from "../events/stream.ts";
import type { Reply, Word } from "../runner/talk.ts";
import { ByteOutlet } from "./bytes.ts";
import type { Person } from "./errand.ts";

export class PipedPrompt implements Person {
  /** A piece has failed, or the last one was never complete. */
  failed = false;
  private outlets: { readonly out: ByteOutlet; readonly err: ByteOutlet } | undefined;
  private lines: AsyncIterator<string> | undefined;
  private piece = "";

  meet(stream: EventStream): void {
    const outlet = (to: NodeJS.WriteStream): ByteOutlet => new ByteOutlet(to, stream, () => {});
    this.outlets = { out: outlet(process.stdout), err: outlet(process.stderr) };
  }

  hear(reply: Reply, answer: (word: Word) => void): void {
    switch (reply.tell) {
      case "output":
        this.outlets?.[reply.to].write(reply.data);
        return;
      case "done":
        this.failed ||= reply.failed;
        this.piece = "";
        void this.send(answer);
        return;
      case "ready":
      case "more":
        void this.send(answer);
    }
  }

  output(text: string): void {
    this.outlets?.out.write(Buffer.from(text));
  }

  leave(): void {
    process.stdin.pause();
  }

  private async send(answer: (word: Word) => void): Promise<void> {
    this.lines ??= console[Symbol.asyncIterator]();
    for (;;) {
      let next: IteratorResult<string>;
      try {
        next = await this.lines.next();
      } catch (error) {
        // A directory, a terminal that is gone.
        this.fail(`standard input cannot be read (${(error as NodeJS.ErrnoException).code})`);
        answer({ say: "bye" });
        return;
      }
      const { value, done } = next;
      if (done === true) {
        if (this.piece !== "") this.fail("the last piece of Lua is not complete");
        answer({ say: "bye" });
        return;
      }
      if (this.piece === "" && value.trim() === "") continue;
      this.piece = this.piece === "" ? value : `${this.piece}\n${value}`;
      answer({ say: "lua", text: this.piece });
      return;
    }
  }

  private fail(why: string): void {
    this.failed = true;
    this.outlets?.err.write(Buffer.from(`provium repl: ${why}\n`));
  }
}

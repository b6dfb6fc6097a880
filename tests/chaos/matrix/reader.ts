/** Reads a stream as a person would who can go away or become slow. */
export class Reader {
  text = "";
  private readonly reader;
  private pause = 0;
  private closed = false;

  constructor(stream: ReadableStream<Uint8Array>) {
    this.reader = stream.getReader();
    void this.read();
  }

  close(): void {
    this.closed = true;
    void this.reader.cancel();
  }

  slow(): void {
    this.pause = 200;
  }

  private async read(): Promise<void> {
    const decoder = new TextDecoder();
    while (!this.closed) {
      const { done, value } = await this.reader.read();
      if (done) return;
      this.text += decoder.decode(value, { stream: true });
      await Bun.sleep(this.pause);
    }
  }
}

/** A terminal as tests need it: xterm's own emulation, without a window. */

import { Terminal } from "@xterm/headless";

export class TestScreen {
  private readonly terminal: Terminal;

  constructor(columns: number, rows = 24) {
    this.terminal = new Terminal({
      cols: columns,
      rows,
      scrollback: 10_000,
      allowProposedApi: true,
      convertEol: true,
    });
  }

  readonly columns = (): number => this.terminal.cols;
  readonly rows = (): number => this.terminal.rows;

  readonly write = (text: string): void => this.terminal.write(text);

  async resize(columns: number): Promise<void> {
    await this.settled();
    this.terminal.resize(columns, this.terminal.rows);
  }

  /** Everything written has arrived on the screen. */
  private settled(): Promise<void> {
    return new Promise((resolve) => this.terminal.write("", resolve));
  }

  /** Everything on screen and in the scroll-back, without the empty rest. Rows that wrapped are joined. */
  async lines(): Promise<string[]> {
    await this.settled();
    const buffer = this.terminal.buffer.active;
    const lines: string[] = [];
    for (let i = 0; i < buffer.length; i++) {
      const row = buffer.getLine(i);
      const text = row?.translateToString(true) ?? "";
      if (row?.isWrapped && lines.length > 0) lines[lines.length - 1] += text;
      else lines.push(text);
    }
    while (lines.at(-1) === "") lines.pop();
    return lines;
  }
}

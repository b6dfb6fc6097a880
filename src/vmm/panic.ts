/**
 * Recognises a kernel panic in what a console says: the second witness beside the pvpanic device, whose driver
 * a guest may not have.
 *
 * The kernel prints "Kernel panic - not syncing: WHY", then the registers and the call trace, and last the line
 * "---[ end Kernel panic …". Source: kernel/panic.c of Linux.
 */

/** The line may carry a level and a timestamp in front, nothing else: a test's own output may quote the words. */
const SIGNATURE = /^(?:<\d+>)?(?:\[[ \d.]+\](?:\[[^\]]*\])? ?)?Kernel panic - not syncing(?:: (.*))?$/;
const END = "---[ end Kernel panic";
const MAX_LINE_BYTES = 4096;
const NEWLINE = 10;

/** One device's bytes, watched line by line. */
export class PanicWatch {
  /** The kernel's words, once it has panicked. */
  reason: string | undefined;
  /** The report is complete. */
  ended = false;
  private line: number[] = [];

  add(bytes: Uint8Array): void {
    if (this.ended) return;
    for (const byte of bytes) {
      if (byte === NEWLINE) {
        this.look(new TextDecoder().decode(Uint8Array.from(this.line)).trimEnd());
        this.line = [];
      } else if (this.line.length < MAX_LINE_BYTES) this.line.push(byte);
    }
  }

  private look(line: string): void {
    if (this.reason !== undefined) this.ended ||= line.includes(END);
    else {
      const match = SIGNATURE.exec(line);
      if (match !== null) this.reason = match[1] ?? "no reason given";
    }
  }
}

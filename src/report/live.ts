/**
 * The live view: a few lines below the report that say what goes on, painted over again and again and gone at the
 * end. Whatever is printed meanwhile goes through `print`, which takes the view away first; so nothing is garbled.
 */

import { eventTime } from "../events/stream.ts";
import type { Palette } from "./colours.ts";
import type { Progress, RunningFile } from "./progress.ts";
import { oneLine } from "./text.ts";

/** The terminal below. `columns` and `rows` may change at any time. */
export interface Screen {
  readonly columns: () => number;
  readonly rows: () => number;
  readonly write: (text: string) => void;
}

const REPAINT_MS = 100;
/** The view leaves most of the screen to what was printed. */
const SHARE_OF_ROWS = 3;
const GAUGE = 10;

/** `1:23:45`, `2:07`, `8 s`. */
const clock = (ns: number): string => {
  const all = Math.max(0, Math.floor(ns / 1e9));
  if (all < 60) return `${all} s`;
  const two = (n: number): string => String(n).padStart(2, "0");
  const hours = Math.floor(all / 3600);
  const minutes = Math.floor(all / 60) % 60;
  return hours > 0 ? `${hours}:${two(minutes)}:${two(all % 60)}` : `${minutes}:${two(all % 60)}`;
};

const gibibytes = (bytes: number): string => (bytes / 2 ** 30).toFixed(1);

const gauge = (part: number, whole: number): string => {
  const full = whole === 0 ? 0 : Math.min(GAUGE, Math.round((GAUGE * part) / whole));
  return `[${"#".repeat(full)}${".".repeat(GAUGE - full)}]`;
};

/** As much of a line as fits, with a mark where something is missing; never a whole row, which might wrap. */
const fitted = (line: string, columns: number): string => {
  const room = Math.max(1, columns - 1);
  if (Bun.stringWidth(line) <= room) return line;
  if (room === 1) return "…";
  // A wide character that begins in the last column would be taken along.
  const part = Bun.sliceAnsi(line, 0, room - 1);
  return `${Bun.stringWidth(part) < room ? part : Bun.sliceAnsi(line, 0, room - 2)}…`;
};

const fileLine = (file: RunningFile, now: bigint): string => {
  const machines = file.machines === 0 ? "" : `, ${file.machines} vm${file.machines === 1 ? "" : "s"}`;
  const name = oneLine(file.path);
  const test = file.test === undefined ? "" : ` > ${oneLine(file.test)}`;
  return `  ${name} (${clock(Number(now - file.since))}${machines})${test}`;
};

/** The view as lines, each fit for a row of `columns`. */
export const viewLines = (
  progress: Progress,
  now: bigint,
  columns: number,
  rows: number,
  colour: Palette,
): readonly string[] => {
  if (progress.started === undefined || progress.over) return [];
  const failed = progress.failedTests > 0 ? colour.bad(`, ${progress.failedTests} failed`) : "";
  const remaining = progress.remaining(now);
  const rest = remaining === undefined || progress.done === 0 ? "" : `, about ${clock(remaining)} left`;
  const elapsed = clock(Number(now - progress.started));
  const lines = [
    `${colour.strong(`${progress.done}/${progress.discovered} files`)}${failed}, ${elapsed}${rest}`,
  ];
  if (progress.pool !== undefined) {
    const { used, total } = progress.pool;
    const memory = `${gibibytes(used.memory_bytes)}/${gibibytes(total.memory_bytes)} GiB`;
    lines.push(
      colour.faint(
        `memory ${gauge(used.memory_bytes, total.memory_bytes)} ${memory}, cpus ${used.cpus}/${total.cpus}`,
      ),
    );
  }
  const room = Math.max(1, Math.floor(rows / SHARE_OF_ROWS) - lines.length);
  const files = [...progress.running.values()];
  lines.push(...files.slice(0, room).map((file) => fileLine(file, now)));
  if (files.length > room) lines.push(colour.faint(`  and ${files.length - room} more`));
  const reasons = new Map<string, number>();
  for (const reason of progress.waiting.values())
    if (reason !== "") reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  if (progress.waiting.size > 0) {
    const why = [...reasons].map(([reason, count]) => `${count} ${reason.replaceAll("_", " ")}`).join(", ");
    lines.push(colour.faint(`  ${progress.waiting.size} waiting${why === "" ? "" : ` (${why})`}`));
  }
  return lines.map((line) => fitted(line, columns));
};

export class LiveView {
  private painted: readonly string[] = [];
  private readonly ticker: ReturnType<typeof setInterval>;

  constructor(
    private readonly progress: Progress,
    private readonly screen: Screen,
    private readonly colour: Palette,
  ) {
    this.ticker = setInterval(() => this.paint(), REPAINT_MS);
    this.ticker.unref();
  }

  /** Prints whole lines above the view. */
  print(text: string): void {
    const lines = this.lines();
    this.screen.write(this.erasure() + text + this.shown(lines));
  }

  /** Takes the view away for good. */
  close(): void {
    clearInterval(this.ticker);
    const gone = this.erasure();
    this.painted = [];
    if (gone !== "") this.screen.write(gone);
  }

  private paint(): void {
    const lines = this.lines();
    if (lines.length === this.painted.length && lines.every((line, i) => line === this.painted[i])) return;
    this.screen.write(this.erasure() + this.shown(lines));
  }

  private lines(): readonly string[] {
    return viewLines(this.progress, eventTime(), this.screen.columns(), this.screen.rows(), this.colour);
  }

  private shown(lines: readonly string[]): string {
    this.painted = lines;
    return lines.map((line) => `${line}\n`).join("");
  }

  /** Goes up to where the view begins and clears from there. A window that became narrower has wrapped its lines. */
  private erasure(): string {
    if (this.painted.length === 0) return "";
    const columns = Math.max(1, this.screen.columns());
    const height = this.painted.reduce(
      (sum, line) => sum + Math.max(1, Math.ceil(Bun.stringWidth(line) / columns)),
      0,
    );
    return `\r\u001b[${height}A\u001b[J`;
  }
}

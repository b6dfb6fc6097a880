/** Opens the reporters and sinks of a run, or of several rounds of it, and says at the end whether all was kept. */

import { closeSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { readAsset } from "../assets/embedded.ts";
import type { ReporterName } from "../config/reporters.ts";
import { UsageError } from "../errors/errors.ts";
import { Outlet } from "../events/outlet.ts";
import { EventSinks } from "../events/sinks.ts";
import { EventStream } from "../events/stream.ts";
import { type Palette, palette, plainPalette } from "../report/colours.ts";
import { CoverageCollector } from "../report/coverage.ts";
import { coverageText } from "../report/coverage-text.ts";
import { githubReporter } from "../report/github.ts";
import { htmlReporter } from "../report/html.ts";
import { jsonReporter } from "../report/json.ts";
import { junitReporter } from "../report/junit.ts";
import { LiveView } from "../report/live.ts";
import { plainReporter } from "../report/plain.ts";
import { Progress } from "../report/progress.ts";
import type { Reporter, Write } from "../report/reporter.ts";
import { tapReporter } from "../report/tap.ts";
import { visible } from "../report/text.ts";
import { flushed } from "./flushed.ts";
import type { OutputOptions, ReporterChoice } from "./output.ts";

type Terminal = NodeJS.WriteStream;

const MAKE: Readonly<Record<ReporterName, Reporter>> = {
  plain: plainReporter,
  json: jsonReporter,
  junit: junitReporter,
  tap: tapReporter,
  github: githubReporter(),
  html: htmlReporter(() => new TextDecoder().decode(readAsset("report/template.html"))),
};

/** A terminal on which lines can be painted over, and somebody who looks at it. */
const canLive = (terminal: Terminal, environment: NodeJS.ProcessEnv): boolean =>
  terminal.isTTY === true && environment.TERM !== "dumb" && environment.TERM !== undefined && !environment.CI;

export class Reporting {
  readonly stream = new EventStream();
  private sinks: EventSinks | undefined;
  private readonly files: { readonly fd: number; readonly outlet: Outlet }[] = [];
  private lost = false;
  private view: LiveView | undefined;
  private readonly toError: Write;

  private constructor(
    private readonly options: OutputOptions,
    private readonly environment: NodeJS.ProcessEnv,
  ) {
    this.toError = this.toTerminal(process.stderr);
  }

  /** Throws `UsageError` for a file or socket that cannot be had. */
  static async open(options: OutputOptions, environment: NodeJS.ProcessEnv): Promise<Reporting> {
    const reporting = new Reporting(options, environment);
    // The sinks first: what they are told does not depend on how reporters fare.
    reporting.sinks = await EventSinks.open(reporting.stream, {
      file: options.saveEvents,
      stdout: options.eventsStdout,
      socket: options.eventsSocket,
      complain: (text) => reporting.complain(text),
    });
    try {
      for (const choice of options.reporters) reporting.subscribe(choice);
    } catch (error) {
      // The socket of the events has a name.
      await reporting.close();
      throw error;
    }
    if (options.coverage) reporting.subscribeCoverage();
    return reporting;
  }

  /** Waits until readers have caught up. */
  relieved(): Promise<void> {
    if (!this.stream.congested) return Promise.resolve();
    return new Promise((resolve) => {
      const stop = this.stream.onCongestion((congested) => {
        if (congested) return;
        stop();
        resolve();
      });
    });
  }

  /** Waits until everything is written. False: something that was to be kept is lost, and that has been said. */
  async close(): Promise<boolean> {
    this.view?.close();
    this.view = undefined;
    await Promise.all([
      this.sinks?.close(),
      ...this.files.map(({ outlet }) => outlet.flushed()),
      flushed(process.stdout),
    ]);
    for (const { fd } of this.files.splice(0)) closeSync(fd);
    return !(this.lost || this.sinks?.lost === true);
  }

  /** Text beside the report: where the text goes, or on standard error when a report for programs has standard output. */
  private subscribeCoverage(): void {
    const collector = new CoverageCollector("spec", undefined);
    const alone = this.options.reporters.some(({ name, file }) => file === undefined && name !== "plain");
    const write = alone || this.options.eventsStdout ? this.notice : this.toTerminal(process.stdout);
    this.stream.subscribe((event) => {
      collector.consume(event);
      if (event.kind === "run_completed") write(`\n${coverageText(collector.result)}`);
    });
  }

  private subscribe({ name, file }: ReporterChoice): void {
    const { detail, eventsStdout } = this.options;
    if (file === undefined) {
      const terminal = eventsStdout ? process.stderr : process.stdout;
      const colour = palette(terminal, this.environment);
      const plainly = this.toTerminal(terminal, (error) => {
        // EIO: the terminal was closed.
        if (!(terminal.isTTY && error.code === "EIO")) this.failed(`--reporter ${name}`, error);
      });
      if (name === "plain" && detail !== "quiet" && canLive(terminal, this.environment))
        this.openView(terminal, plainly, colour);
      const write: Write = (text) => (this.view === undefined ? plainly(text) : this.view.print(text));
      this.stream.subscribe(MAKE[name]({ detail, colour, write, writeNotice: this.notice }));
    } else {
      const outlet = this.openFile(name, file);
      const write: Write = (text) => outlet.write(Buffer.from(text));
      // Notices stand on the terminal already.
      this.stream.subscribe((event) => {
        if (event.kind === "stream_started") outlet.restart();
      });
      this.stream.subscribe(MAKE[name]({ detail, colour: plainPalette, write, writeNotice: () => {} }));
    }
  }

  /** Tells people something that is no event: how to end the run now, what went wrong, which may quote a guest. */
  complain(text: string): void {
    this.notice(`provium: ${visible(text)}\n`);
  }

  /** Text that waits for a slow terminal or pipe counts as backlog. */
  private toTerminal(terminal: Terminal, failed: (error: NodeJS.ErrnoException) => void = () => {}): Write {
    const backlog = { bytes: 0, over: false };
    const tell = (): void => this.stream.backlog(backlog, backlog.bytes);
    // What is left goes nowhere.
    const gone = (error: NodeJS.ErrnoException): void => {
      if (backlog.over) return;
      backlog.over = true;
      backlog.bytes = 0;
      tell();
      failed(error);
    };
    terminal.once("error", gone);
    return (text) => {
      if (backlog.over) return;
      const bytes = Buffer.byteLength(text);
      backlog.bytes += bytes;
      tell();
      terminal.write(text, (error) => {
        if (error) gone(error);
        if (backlog.over) return;
        backlog.bytes -= bytes;
        tell();
      });
    };
  }

  /** The view goes first: what is printed about an event is followed by a view that knows of it. */
  private openView(terminal: Terminal, write: Write, colour: Palette): void {
    const progress = new Progress();
    this.stream.subscribe(progress.consume);
    const screen = { columns: () => terminal.columns || 80, rows: () => terminal.rows || 24, write };
    this.view = new LiveView(progress, screen, colour);
  }

  /** Notices go to standard error; when that is the terminal with the view, the view makes room. */
  private readonly notice: Write = (text) => {
    if (this.view !== undefined && process.stderr.isTTY === true) this.view.print(text);
    else this.toError(text);
  };

  /** `provium … | head`: nobody wants the rest. Anything else is a report that is lost. */
  private failed(what: string, error: NodeJS.ErrnoException): void {
    if (error.code === "EPIPE" || error.code === "ECONNRESET") return;
    this.lost = true;
    this.complain(`${what}: ${error.message}; this report is incomplete`);
  }

  private openFile(name: ReporterName, path: string): Outlet {
    const what = `--reporter ${name}=${path}`;
    let fd: number;
    try {
      mkdirSync(dirname(path), { recursive: true });
      fd = openSync(path, "w");
    } catch (cause) {
      throw new UsageError(`${what}: the file cannot be written`, { cause });
    }
    const outlet: Outlet = new Outlet(fd, {
      backlog: (bytes) => this.stream.backlog(outlet, bytes),
      failed: (error) => this.failed(what, error),
    });
    this.files.push({ fd, outlet });
    return outlet;
  }
}

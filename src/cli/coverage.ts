/** `provium coverage`, also called `provium-coverage`: which sections of a document the tests of a run cover. */

import { readFileSync } from "node:fs";
import { UsageError } from "../errors/errors.ts";
import { FrameReader } from "../events/frame.ts";
import { eventOf, readRecording } from "../events/recording.ts";
import { CoverageCollector, parseSections } from "../report/coverage.ts";
import { coverageHtml, coverageJson, coverageText } from "../report/coverage-text.ts";
import { readArguments } from "./arguments.ts";
import { EXIT_PASSED } from "./exit.ts";
import { COMMON_FLAGS, type Flags } from "./flags.ts";
import { renderHelp } from "./help.ts";

export const FLAGS = {
  from: {
    type: "string",
    valueHint: "FILE",
    group: "Events",
    description: "events that --save-events has recorded; - is standard input",
  },
  "from-socket": {
    type: "string",
    valueHint: "PATH",
    group: "Events",
    description: "a run that listens there (--events-socket), until its end",
  },
  by: {
    type: "string",
    valueHint: "KEY",
    group: "What is printed",
    description: "the metadata key that names sections (spec)",
  },
  sections: {
    type: "string",
    valueHint: "FILE",
    group: "What is printed",
    description: "all sections, one a line: name and title; so untested ones show",
  },
  format: {
    type: "enum",
    options: ["text", "json", "html"],
    group: "What is printed",
    description: "to standard output (text)",
  },
  help: COMMON_FLAGS.help,
} as const satisfies Flags;

const RENDER = { text: coverageText, json: coverageJson, html: coverageHtml } as const;

/** Reads a stream from a listening run until the run closes it. */
const readSocket = (path: string, collector: CoverageCollector): Promise<void> =>
  new Promise((resolve, reject) => {
    const reader = new FrameReader();
    const refuse = (cause: unknown): void =>
      reject(new UsageError(`--from-socket: nobody listens at ${path}`, { cause }));
    Bun.connect({
      unix: path,
      socket: {
        data: (socket, bytes) => {
          try {
            reader.push(bytes, (body) => collector.consume(eventOf(body)));
          } catch (error) {
            socket.end();
            reject(error);
          }
        },
        close: () => resolve(),
        error: (_socket, error) => reject(error),
        connectError: (_socket, error) => refuse(error),
      },
    }).catch(refuse);
  });

const readText = (path: string): string => {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new UsageError(`--sections: ${path} cannot be read (${(cause as NodeJS.ErrnoException).code})`, {
      cause,
    });
  }
};

export const coverage = async (raw: readonly string[]): Promise<number> => {
  const args = readArguments(raw, FLAGS);
  if (args.has("help")) {
    const usage = ["provium coverage --from FILE [FLAGS]", "provium coverage --from-socket PATH [FLAGS]"];
    const about =
      'Says which sections of a document are covered by tests, which fail and which have none.\nA test names its sections in its metadata: test("…", { spec = "3.2" }, function(t) … end).';
    process.stdout.write(renderHelp({ usage, about, flags: FLAGS }));
    return EXIT_PASSED;
  }
  const [from, socket] = [args.text("from"), args.text("from-socket")];
  if ((from === undefined) === (socket === undefined) || args.words.length > 0)
    throw new UsageError("coverage takes its events from one place: --from FILE or --from-socket PATH", {
      hint: "record them with provium --save-events FILE",
    });
  const list = args.text("sections");
  const collector = new CoverageCollector(
    args.text("by") ?? "spec",
    list === undefined ? undefined : parseSections(readText(list)),
  );
  if (from !== undefined) readRecording(from, collector.consume);
  else if (socket !== undefined) await readSocket(socket, collector);
  const format = (args.text("format") ?? "text") as keyof typeof RENDER;
  process.stdout.write(RENDER[format](collector.result));
  return EXIT_PASSED;
};

/** `provium fixture`: what is in the cache, what is missing, builds ahead of time. */

import { join } from "node:path";
import { assetPath } from "../assets/extract.ts";
import { Desk } from "../dispatch/desk.ts";
import { fixtureFilesOf } from "../dispatch/fixture-files.ts";
import type { Fixtures } from "../dispatch/fixtures.ts";
import { openRequests } from "../dispatch/open-requests.ts";
import { Schedule } from "../dispatch/schedule.ts";
import { HostError, UsageError } from "../errors/errors.ts";
import { suggestion } from "../errors/suggest.ts";
import { EventStream } from "../events/stream.ts";
import { fixturePath, fixtureTitle, type Places } from "../fixture/names.ts";
import { Store } from "../fixture/store.ts";
import { fixtureLine } from "../report/fixtures.ts";
import { visible } from "../report/text.ts";
import { RunDirectory, runBase, sweepDeadRuns } from "../sys/directory.ts";
import { readArguments } from "./arguments.ts";
import { complain } from "./complain.ts";
import { EXIT_FAILED, EXIT_PASSED } from "./exit.ts";
import { COMMON_FLAGS, CONFIG_FLAGS, type Flags, RUN_FLAGS } from "./flags.ts";
import { renderHelp } from "./help.ts";
import { cacheDirectory } from "./machinery.ts";
import { type RunOptions, runOptions } from "./options.ts";
import { sayWarnings } from "./project.ts";
import { readyProfiles } from "./ready-profiles.ts";
import { Interruption } from "./signals.ts";
import { openWorkshop } from "./workshop.ts";

const {
  timeout,
  mem,
  cpus,
  jobs,
  accel,
  transport,
  network,
  verbose,
  "no-build": noBuild,
  "run-as": runAs,
} = RUN_FLAGS;
export const FLAGS: Flags = {
  timeout: {
    ...timeout,
    description: "deadline of each build: seconds, or 500ms, 5s, 2m, 1h (300; 0 is none)",
  },
  mem,
  cpus,
  jobs: { ...jobs, description: "builds at a time (1)" },
  accel,
  transport,
  network,
  "run-as": runAs,
  "no-build": noBuild,
  verbose: { ...verbose, description: "what happens meanwhile" },
  ...CONFIG_FLAGS,
  help: COMMON_FLAGS.help,
};

const ACTIONS = ["list", "build", "rebuild", "clean", "stale"] as const;
type Action = (typeof ACTIONS)[number];

const say = (text: string): void => void process.stdout.write(`${text}\n`);

const size = (bytes: number): string => {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const step = bytes === 0 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  return step === 0 ? `${bytes}B` : `${(bytes / 2 ** (10 * step)).toFixed(2)}${units[step]}`;
};

const listEntries = (store: Store): void => {
  const entries = store.entries();
  for (const { label, key } of entries)
    say(`${size(label.bytes).padStart(10)}  ${label.kind.padEnd(3)}  ${key}  ${visible(label.title)}`);
  const sum = entries.reduce((bytes, { label }) => bytes + label.bytes, 0);
  say(`${entries.length} ${entries.length === 1 ? "entry" : "entries"}, ${size(sum)}`);
};

const clean = (store: Store): void => {
  const { removed, inUse } = store.clean();
  const kept = inUse === 0 ? "" : `; ${inUse} in use ${inUse === 1 ? "stays" : "stay"}`;
  say(`${removed} ${removed === 1 ? "entry" : "entries"} removed${kept}`);
};

/** The name behind what was typed: as in `vm_fixture`, but the suffix does no harm. */
const nameOf = (typed: string): string => typed.replace(/^\.\//, "").replace(/(\.fixture)?\.lua$/, "");

/** Prints the fixtures that are not in the cache. False: some could not be looked up. */
const tellStale = async (fixtures: Fixtures, places: Places): Promise<boolean> => {
  let good = true;
  let count = 0;
  for (const file of fixtureFilesOf(places))
    try {
      if (await fixtures.isCached(file)) continue;
      count++;
      say(visible(fixtureTitle(fixturePath(file, places))));
    } catch (error) {
      good = false;
      complain(error);
    }
  say(`${count} stale fixture(s)`);
  return good;
};

/** Has fixtures in the cache, `jobs` at a time. False: some could not be built. */
const build = async (
  fixtures: Fixtures,
  paths: readonly string[],
  jobs: number,
  anew: boolean,
): Promise<boolean> => {
  let good = true;
  const queue = [...paths];
  const asker = { path: `provium fixture ${anew ? "rebuild" : "build"}`, file: "" };
  const next = async (): Promise<void> => {
    for (let path = queue.shift(); path !== undefined; path = queue.shift())
      try {
        const there = await fixtures.ensure({ name: nameOf(path), rule: "lab" }, asker, anew);
        say(`${there ? "already built" : "built"}: ${visible(path)}`);
      } catch (error) {
        good = false;
        complain(error);
      }
  };
  await Promise.all(Array.from({ length: Math.min(jobs, paths.length) }, next));
  return good;
};

/** Looks at fixtures or builds them, with all that this takes; the exit status. */
const work = async (action: "build" | "rebuild" | "stale", options: RunOptions): Promise<number> => {
  using interruption = new Interruption();
  const base = runBase(process.env);
  sweepDeadRuns(base);
  using directory = RunDirectory.open(base);
  const { project, roots: configured } = options.config;
  const places = { project, roots: configured.length > 0 ? configured : [options.directory] };
  const stream = new EventStream();
  const verbose = options.output.detail === "verbose";
  stream.subscribe((event) => {
    const aside = (text: string): void => void process.stderr.write(`provium: ${text}\n`);
    if (event.kind === "notice" && (verbose || event.payload.level === "warning"))
      aside(visible(event.payload.text));
    else if (verbose && event.kind.startsWith("fixture_"))
      aside(fixtureLine(event as Parameters<typeof fixtureLine>[0]));
  });
  for (const text of options.config.warnings) stream.emit("notice", { level: "warning", text });
  const profiles = await readyProfiles(
    options.config,
    { files: [], roots: places.roots, build: options.build && action !== "stale" },
    {
      helper: assetPath("helper", directory.path, process.env),
      environment: process.env,
      show: verbose,
      say: (text) => stream.emit("notice", { level: "info", text }),
      onInterrupt: (listener) => interruption.listen(listener),
    },
  );
  const workshop = openWorkshop(
    { ...options, config: { ...options.config, profiles } },
    process.env,
    { directory, cacheDir: cacheDirectory(process.env, directory), ...places },
    stream,
  );
  const { startRunner, boot, pool } = workshop;
  const desk = new Desk(new Schedule(pool, Number.POSITIVE_INFINITY), () => {});
  const { fixtures } = openRequests(workshop.fixtures, desk, true, {
    stream,
    startRunner,
    boot,
    directory: (name) => join(directory.path, name),
  });
  if (fixtures === undefined) throw new HostError("fixtures need machines, and --vmm local boots none");
  interruption.listen((reason) => fixtures.stop(reason));
  try {
    const good =
      action === "stale"
        ? await tellStale(fixtures, places)
        : await build(fixtures, options.paths, options.jobs ?? 1, action === "rebuild");
    return interruption.status ?? (good ? EXIT_PASSED : EXIT_FAILED);
  } finally {
    await fixtures.close();
  }
};

export const fixture = async (raw: readonly string[]): Promise<number> => {
  const args = readArguments(raw, FLAGS);
  if (args.has("help")) {
    process.stdout.write(
      renderHelp({
        usage: [
          "provium fixture list             what is in the cache: size, kind, key, name",
          "provium fixture stale            the fixtures that the next run would have to build",
          "provium fixture build NAME...    builds what is not in the cache",
          "provium fixture rebuild NAME...  builds in any case",
          "provium fixture clean            empties the cache",
        ],
        about:
          "The cache of fixtures. A NAME is a path below a test root without its suffix, as in\nprovium:vm_fixture(NAME).",
        flags: FLAGS,
      }),
    );
    return EXIT_PASSED;
  }
  const [action, ...names] = args.words as [Action | undefined, ...string[]];
  if (action === undefined || !ACTIONS.includes(action))
    throw new UsageError(
      action === undefined
        ? `fixture: say what to do (known: ${ACTIONS.join(", ")})`
        : `fixture: there is no \`${action}\` (${suggestion(action, ACTIONS)})`,
    );
  const options = runOptions(args, "lab", process.cwd(), process.env);
  const takesNames = action === "build" || action === "rebuild";
  if (takesNames !== names.length > 0)
    throw new UsageError(
      takesNames
        ? `fixture ${action} needs the name of a fixture`
        : `fixture ${action} takes no names; it was given \`${names[0]}\``,
      takesNames ? { hint: "`provium list --fixtures` prints them" } : {},
    );
  const { cacheDir, cacheMaxSize } = options.config;
  // The others are rounds, which say them themselves.
  if (!takesNames && action !== "stale") sayWarnings(options.config);
  const store = new Store(cacheDir, cacheMaxSize);
  switch (action) {
    case "list":
      listEntries(store);
      return EXIT_PASSED;
    case "clean":
      clean(store);
      return EXIT_PASSED;
    default:
      return work(action, { ...options, paths: names });
  }
};

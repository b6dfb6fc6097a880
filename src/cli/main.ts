/** The commands: which one is meant, and how its errors leave the process. */

import { HostError } from "../errors/errors.ts";
import { complain } from "./complain.ts";
import { EXIT_PASSED, EXIT_UNABLE } from "./exit.ts";
import { flushed } from "./flushed.ts";
import { LOADERS } from "./loaders.ts";
import { routeCommand } from "./route.ts";

const unable = (error: unknown): number => {
  complain(error);
  return EXIT_UNABLE;
};

/** A reader that has seen enough (`provium … | head`), a terminal that was closed: no failure of the command. */
const LEFT: ReadonlySet<string | undefined> = new Set(["EPIPE", "ECONNRESET", "EIO"]);

/** Runs the command that `raw` asks for; the exit status. Never throws. */
export const runCli = async (raw: readonly string[]): Promise<number> => {
  let lost: NodeJS.ErrnoException | undefined;
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (!LEFT.has(error.code)) lost ??= error;
  });
  process.stderr.on("error", () => {});
  const status = await perform(raw);
  await flushed(process.stdout);
  // The stream tells of a failed write a turn later.
  await new Promise((resolve) => setImmediate(resolve));
  if (lost === undefined || status !== EXIT_PASSED) return status;
  return unable(new HostError("what was to be printed is incomplete", { cause: lost }));
};

const perform = async (raw: readonly string[]): Promise<number> => {
  // A bug of ours in a callback; runners and machines end with this process, the next run sweeps what it leaves.
  const bug = (error: unknown): never => process.exit(unable(error));
  process.on("uncaughtException", bug);
  process.on("unhandledRejection", bug);
  try {
    const { command, form, rest } = routeCommand(raw, process.cwd());
    if (command === "help") {
      const { mainHelp } = await import("./help.ts");
      process.stdout.write(mainHelp());
      return 0;
    }
    if (command === "run") {
      const { run } = await import("./run.ts");
      return await run(rest, form);
    }
    if (command === "completions") {
      const { completions } = await import("./completions.ts");
      return await completions(rest);
    }
    const { main } = await LOADERS[command]();
    return await main(rest);
  } catch (error) {
    return unable(error);
  }
};

/** The commands: which one is meant, and how its errors leave the process. */

import { complain } from "./complain.ts";
import { EXIT_UNABLE } from "./exit.ts";
import { LOADERS } from "./loaders.ts";
import { routeCommand } from "./route.ts";

const unable = (error: unknown): number => {
  complain(error);
  return EXIT_UNABLE;
};

/** Runs the command that `raw` asks for; the exit status. Never throws. */
export const runCli = async (raw: readonly string[]): Promise<number> => {
  // A reader that has seen enough (`provium … | head`) is no failure of the run.
  process.stdout.on("error", () => {});
  process.stderr.on("error", () => {});
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

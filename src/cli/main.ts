/** The commands: which one is meant, and how its errors leave the process. */

import { renderError } from "../errors/render.ts";
import { EXIT_UNABLE } from "./exit.ts";
import { routeCommand } from "./route.ts";

const complain = (error: unknown): number => {
  process.stderr.write(`provium: ${renderError(error)}\n`);
  return EXIT_UNABLE;
};

/** Runs the command that `raw` asks for; the exit status. Never throws. */
export const runCli = async (raw: readonly string[]): Promise<number> => {
  // A reader that has seen enough (`provium … | head`) is no failure of the run.
  process.stdout.on("error", () => {});
  process.stderr.on("error", () => {});
  // A bug of ours in a callback; runners and machines end with this process, the next run sweeps what it leaves.
  const bug = (error: unknown): never => process.exit(complain(error));
  process.on("uncaughtException", bug);
  process.on("unhandledRejection", bug);
  try {
    const { command, form, rest } = routeCommand(raw, process.cwd());
    switch (command) {
      case "help": {
        const { mainHelp } = await import("./help.ts");
        process.stdout.write(mainHelp());
        return 0;
      }
      case "demo": {
        const { demo } = await import("./demo.ts");
        return await demo(rest);
      }
      case "list": {
        const { list } = await import("./list.ts");
        return await list(rest);
      }
      case "fixture": {
        const { fixture } = await import("./fixture.ts");
        return await fixture(rest);
      }
      case "doctor": {
        const { doctor } = await import("./doctor.ts");
        return await doctor(rest);
      }
      case "repl": {
        const { repl } = await import("./repl.ts");
        return await repl(rest);
      }
      case "exec": {
        const { exec } = await import("./exec.ts");
        return await exec(rest);
      }
      case "merge": {
        const { merge } = await import("./merge.ts");
        return await merge(rest);
      }
      case "coverage": {
        const { coverage } = await import("./coverage.ts");
        return await coverage(rest);
      }
      case "run": {
        const { run } = await import("./run.ts");
        return await run(rest, form);
      }
    }
  } catch (error) {
    return complain(error);
  }
};

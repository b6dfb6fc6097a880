/** Which role am I? The dispatcher, unless the dispatcher has started me as a runner. */

import { basename } from "node:path";
import { flushed } from "./cli/flushed.ts";
import { version } from "./cli/version.ts";
import { isRunner } from "./runner/role.ts";

const dispatcher = async (raw: readonly string[]): Promise<void> => {
  if (raw[0] === "--version" || raw[0] === "-V") {
    process.stdout.write(`provium ${version}\n`);
    return;
  }
  const { runCli } = await import("./cli/main.ts");
  const status = await runCli(raw);
  await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
  process.exit(status);
};

const main = async (): Promise<void> => {
  if (isRunner(process.env)) {
    const { runnerMain } = await import("./runner/main.ts");
    runnerMain();
  }
  const words = process.argv.slice(2);
  // A link of this name is the tool that classic projects call.
  await dispatcher(basename(process.argv0) === "provium-coverage" ? ["coverage", ...words] : words);
};

void main();

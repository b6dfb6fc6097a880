/** Somebody at a terminal: types when the screen shows what they wait for. script(1) makes the terminal. */

import { TestScreen } from "../unit/report/screen.ts";
import { EXECUTABLE, type Project } from "./run.ts";

export const CTRL_C = "\u0003";
export const CTRL_D = "\u0004";
export const TAB = "\t";

/** Once `shows` has appeared behind what was waited for before, `types` is typed. */
export type Turn = readonly [shows: string, types: string];

/** Starts a line of shell on a terminal; what is written to its standard input is typed there. */
export const onTerminal = (project: Project, line: string, env: Readonly<Record<string, string>>) =>
  Bun.spawn(["script", "-qec", line, "/dev/null"], {
    cwd: project.directory,
    stdin: "pipe",
    stdout: "pipe",
    stderr: "pipe",
    env: { PATH: process.env.PATH ?? "", HOME: project.directory, PROVIUM_TMPDIR: project.temp, ...env },
  });

/** What stands on the screen at the end, "status N" in the last line. */
export const atTerminal = async (
  project: Project,
  words: string,
  turns: readonly Turn[],
): Promise<string> => {
  const line = `stty cols 100; trap : INT; ${EXECUTABLE} ${words}; echo status $?`;
  const child = onTerminal(project, line, { TERM: "xterm", NO_COLOR: "1" });
  const screen = new TestScreen(100);
  const left = [...turns];
  let unseen = "";
  for await (const chunk of child.stdout) {
    const text = new TextDecoder().decode(chunk);
    screen.write(text);
    unseen += text;
    for (let turn = left[0]; turn !== undefined; turn = left[0]) {
      const at = unseen.indexOf(turn[0]);
      if (at < 0) break;
      unseen = unseen.slice(at + turn[0].length);
      left.shift();
      child.stdin.write(turn[1]);
      child.stdin.flush();
    }
    if (/status \d/.test(unseen)) child.stdin.end();
  }
  if (left.length > 0) throw new Error(`never seen: ${left[0]?.[0]}\n${(await screen.lines()).join("\n")}`);
  return (await screen.lines()).join("\n");
};

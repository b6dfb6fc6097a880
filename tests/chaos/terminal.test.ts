/** The executable on terminals of every kind: script(1) gives it one, xterm's emulation shows what a person would see. */

import { expect, test } from "bun:test";
import { TestScreen } from "../unit/report/screen.ts";
import { atTerminal, CTRL_C, onTerminal } from "./person.ts";
import { EXECUTABLE, outcome, Project } from "./run.ts";

const FILES = {
  "a.test.lua": `test("a name that is longer than a narrow row", function() wait_until(function() return false end, { timeout = 0.5 }) end)\n`,
  "b.test.lua": `test("b", function(t) print("\\27[2J\\27[1;1Hgone?") end)\n`,
};

/** Runs on a terminal so many columns wide where nobody types; everything that was sent to it. */
const watched = async (
  project: Project,
  columns: number,
  env: Readonly<Record<string, string>>,
  flags = "",
): Promise<string> => {
  const line = `stty cols ${columns} rows 24; ${EXECUTABLE} --vmm local ${flags}; echo status $?`;
  const child = onTerminal(project, line, env);
  child.stdin.end();
  return (await outcome(child)).stdout;
};

const ESCAPE = "\u001b";
const COLOUR = new RegExp(`${ESCAPE}\\[\\d+m`);

for (const columns of [20, 100])
  test(`on a terminal of ${columns} columns the live view comes, goes, and leaves the report`, async () => {
    using project = new Project(FILES);
    const sent = await watched(project, columns, { TERM: "xterm" });
    expect(sent).toContain("0/2 files");
    expect(sent).toContain(`A${ESCAPE}[J`);
    const screen = new TestScreen(columns);
    screen.write(sent);
    const seen = (await screen.lines()).join("\n");
    expect(seen).not.toContain("/2 files");
    expect(seen).toContain("PASS b.test.lua (1 passed, 0 failed, 0 skipped)");
    expect(seen).toContain("│ \\e[2J\\e[1;1Hgone?");
    expect(seen).toContain("2 file(s); 1 passed, 1 failed, 0 skipped");
    expect(seen.trimEnd()).toEndWith("status 1");
  });

test("NO_COLOR takes the colours and leaves the view", async () => {
  using project = new Project(FILES);
  const sent = await watched(project, 80, { TERM: "xterm", NO_COLOR: "1" });
  expect(sent).toContain("0/2 files");
  expect(sent).not.toMatch(COLOUR);
  expect(await watched(project, 80, { TERM: "xterm" })).toMatch(COLOUR);
});

const without: readonly [string, Readonly<Record<string, string>>, string][] = [
  ["TERM=dumb", { TERM: "dumb" }, ""],
  ["no TERM at all", {}, ""],
  ["a terminal of a CI system", { TERM: "xterm", CI: "true", NO_COLOR: "1" }, ""],
  ["--quiet", { TERM: "xterm", NO_COLOR: "1" }, "-q"],
];
for (const [title, env, flags] of without)
  test(`under ${title} there is no view and no escape sequence`, async () => {
    using project = new Project(FILES);
    const sent = await watched(project, 80, env, flags);
    expect(sent).not.toContain(ESCAPE);
    expect(sent).toContain("2 file(s); 1 passed, 1 failed, 0 skipped");
  });

test("in a pipe there is no view and no escape sequence", async () => {
  using project = new Project(FILES);
  const { text } = await project.run(["--vmm", "local"], { TERM: "xterm", NO_COLOR: "" });
  expect(text).not.toContain(ESCAPE);
  expect(text).not.toContain("/2 files");
});

test("Ctrl-C on a terminal is answered above the view, and the summary follows", async () => {
  using project = new Project({
    "a.test.lua": `test("waits", function() wait_until(function() return false end, { timeout = 600 }) end)\n`,
  });
  const seen = await atTerminal(project, "--vmm local", [["waits", CTRL_C]]);
  expect(seen).toContain("provium: ending the run; once more ends it now");
  expect(seen).toContain("interrupted");
  expect(seen).toContain("status 130");
  expect(seen).not.toContain("/1 files");
});

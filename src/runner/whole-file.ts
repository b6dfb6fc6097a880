/** Classic files without tests of their own are one test as a whole. Told from their text, so that a filter can leave one out unrun. */

import { moduleFile, sourceOf } from "../fixture/references.ts";
import { scanSource } from "../fixture/scan.ts";
import { tokens } from "../source/tokens.ts";
import type { Job } from "./protocol.ts";

/** The globals by which a text could declare a test: `test` itself, and what reaches it or another text by other names. */
const TELLING = new Set(["test", "_G", "_ENV", "load", "loadstring", "loadfile", "dofile"]);

const declares = (source: string): boolean => {
  const list = tokens(source);
  const globals = list.filter(({ kind, text }, i) => {
    const before = list[i - 1]?.text;
    return kind === "word" && before !== "." && before !== ":" && (TELLING.has(text) || text === "require");
  });
  const requires = globals.filter(({ text }) => text === "require").length;
  // A module whose name is put together could be any.
  return globals.length > requires || requires > scanSource(source).modules.length;
};

/** Whether neither the file nor a module that it requires can declare a test. In doubt they can. */
export const isWholeTest = ({ file, project, roots }: Pick<Job, "file" | "project" | "roots">): boolean => {
  const seen = new Set<string>();
  const plain = (path: string): boolean => {
    if (seen.has(path)) return true;
    seen.add(path);
    const source = sourceOf(path);
    if (source === undefined || declares(source)) return false;
    return scanSource(source).modules.every((module) => {
      const next = moduleFile(module, file, { project, roots });
      return next === undefined || plain(next);
    });
  };
  return plain(file);
};

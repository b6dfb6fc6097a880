/** Completions for fish: a line for each command and each flag of it. */

import type { Completable } from "./completable.ts";
import type { Flag } from "./flags.ts";

const quoted = (text: string): string => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;

const flagLine = (condition: string, name: string, flag: Flag): string => {
  const words = [`complete -c provium -n ${quoted(condition)} -l ${name}`];
  if (flag.alias !== undefined) words.push(`-s ${flag.alias}`);
  if (flag.options !== undefined) words.push(`-x -a ${quoted(flag.options.join(" "))}`);
  else if (flag.type !== "boolean") words.push("-r");
  return `${words.join(" ")} -d ${quoted(flag.description)}`;
};

const wordLine = (condition: string, takes: Completable["takes"]): string[] => {
  const line = `complete -c provium -n ${quoted(condition)}`;
  if (takes === "paths" || takes === "directory") return [`${line} -F`];
  if (takes === "nothing") return [];
  return [
    `${line} -a ${takes === "profile" ? "'(provium list --profiles 2>/dev/null)'" : quoted(takes.join(" "))}`,
  ];
};

export const fishCompletion = (commands: readonly Completable[]): string => {
  const [, ...others] = commands;
  const none = `not __fish_seen_subcommand_from ${others.map(({ name }) => name).join(" ")}`;
  const lines = ["complete -c provium -f"];
  for (const { name, about } of others)
    lines.push(`complete -c provium -n ${quoted(none)} -a ${name} -d ${quoted(about)}`);
  for (const { name, takes, flags } of commands) {
    const condition = name === "" ? none : `__fish_seen_subcommand_from ${name}`;
    lines.push(...wordLine(condition, takes));
    for (const [flag, described] of Object.entries<Flag>(flags))
      lines.push(flagLine(condition, flag, described));
  }
  return `${lines.join("\n")}\n`;
};

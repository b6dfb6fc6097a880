/** Completions for zsh: a function for each command, which _arguments reads. */

import type { Completable } from "./completable.ts";
import type { Flag } from "./flags.ts";

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
/** Brackets and colons have a meaning in a specification. */
const plain = (text: string): string => text.replace(/[[\]:\\]/g, (char) => `\\${char}`);

const spec = (name: string, flag: Flag): string[] => {
  const value =
    flag.type === "boolean"
      ? ""
      : flag.options === undefined
        ? `:${plain(flag.valueHint ?? "value")}:_files`
        : `:value:(${flag.options.join(" ")})`;
  const many = flag.repeatable ? "*" : "";
  const mark = flag.type === "boolean" ? "" : "=";
  const about = `[${plain(flag.description)}]`;
  const long = quoted(`${many}--${name}${mark}${about}${value}`);
  return flag.alias === undefined ? [long] : [long, quoted(`${many}-${flag.alias}${about}${value}`)];
};

const wordSpec = (takes: Completable["takes"]): string[] => {
  if (takes === "nothing") return [];
  if (takes === "paths") return [quoted("*:path:_files")];
  if (takes === "directory") return [quoted("1:directory:_files -/")];
  if (takes === "profile") return [quoted("1:profile:_provium_profiles")];
  return [quoted(`1:word:(${takes.join(" ")})`)];
};

const functionOf = ({
  name,
  takes,
  flags,
}: Completable): string => `_provium_${name.replaceAll("-", "_") || "run"}() {
  _arguments -s \\
    ${[...Object.entries<Flag>(flags).flatMap(([flag, described]) => spec(flag, described)), ...wordSpec(takes)].join(" \\\n    ")}
}`;

export const zshCompletion = (commands: readonly Completable[]): string => {
  const [, ...others] = commands;
  return `#compdef provium

_provium_profiles() {
  local -a profiles
  profiles=(\${(f)"$(provium list --profiles 2>/dev/null)"})
  _describe profile profiles
}

${commands.map(functionOf).join("\n\n")}

_provium() {
  local -a commands
  commands=(
${others.map(({ name, about }) => `    ${quoted(`${name}:${plain(about)}`)}`).join("\n")}
  )
  local word
  for word in "\${(@)words[2,CURRENT-1]}"; do
    if (( \${commands[(I)$word:*]} )); then
      local name=\${word//-/_}
      _provium_$name
      return
    fi
  done
  if [[ $words[CURRENT] == -* ]]; then
    _provium_run
  else
    _describe command commands
    _files
  fi
}

compdef _provium provium
`;
};

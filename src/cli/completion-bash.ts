/** Completions for bash: one function that looks for the command and its flags. */

import type { Completable } from "./completable.ts";
import type { Flag } from "./flags.ts";

const flagWords = (flags: Completable["flags"]): string =>
  Object.entries<Flag>(flags)
    .flatMap(([name, { alias }]) => [`--${name}`, ...(alias === undefined ? [] : [`-${alias}`])])
    .join(" ");

/** Lines that complete the value of a flag: one of some words, or a file. */
const valueCases = (commands: readonly Completable[]): string[] => {
  const byName = new Map<string, Flag>();
  for (const { flags } of commands)
    for (const [name, flag] of Object.entries<Flag>(flags))
      if (flag.type !== "boolean") byName.set(name, flag);
  return [...byName].map(
    ([name, { options }]) =>
      `    --${name}) ${options === undefined ? 'COMPREPLY=($(compgen -f -- "$cur"))' : `COMPREPLY=($(compgen -W "${options.join(" ")}" -- "$cur"))`}; return ;;`,
  );
};

const wordsOf = ({ takes }: Completable): string => {
  if (takes === "profile") return "_provium_profiles";
  if (takes === "paths") return 'COMPREPLY=($(compgen -f -- "$cur"))';
  if (takes === "directory") return 'COMPREPLY=($(compgen -d -- "$cur"))';
  return takes === "nothing" ? ":" : `COMPREPLY=($(compgen -W "${takes.join(" ")}" -- "$cur"))`;
};

export const bashCompletion = (commands: readonly Completable[]): string => {
  const [run, ...others] = commands as [Completable, ...Completable[]];
  const names = others.map(({ name }) => name).join(" ");
  // Not with `compgen -W`, which expands its words: a name in somebody's provium.toml may hold a command.
  return `_provium_profiles() {
  local name
  while IFS= read -r name; do
    [[ $name == "$cur"* ]] && COMPREPLY+=("$name")
  done < <(provium list --profiles 2>/dev/null)
}

_provium() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD - 1]} command="" word
  compopt -o filenames 2>/dev/null
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case " ${names} " in *" $word "*) command=$word; break ;; esac
  done
  case "$prev" in
${valueCases(commands).join("\n")}
  esac
  case "$command" in
${others
  .map(
    (one) => `    ${one.name})
      case "$cur" in -*) COMPREPLY=($(compgen -W "${flagWords(one.flags)}" -- "$cur")) ;; *) ${wordsOf(one)} ;; esac ;;`,
  )
  .join("\n")}
    *)
      case "$cur" in
        -*) COMPREPLY=($(compgen -W "${flagWords(run.flags)}" -- "$cur")) ;;
        *) COMPREPLY=($(compgen -W "${names}" -- "$cur") $(compgen -f -- "$cur")) ;;
      esac ;;
  esac
}
complete -F _provium provium
`;
};

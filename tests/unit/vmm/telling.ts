/** The part of a shell script that plays QEMU in which it is asked what it can do; descriptor 3 is the monitor. */

export const GREET = `echo '{"QMP": {"version": {"qemu": {"major": 7, "minor": 2, "micro": 0}}}}' >&3`;

export interface Told {
  /** Options of the command line. */
  readonly options: readonly string[];
  readonly commands: readonly string[];
  /** Options of the board. */
  readonly board: readonly string[];
  /** Properties of ICH9-LPC. */
  readonly lpc: readonly string[];
}

const list = (key: string, values: readonly string[]): string =>
  `'${JSON.stringify(values.map((value) => ({ [key]: value })))}'`;

/** Answers and ends where it is started without a machine, else goes on. */
export const tells = ({ options, commands, board, lpc }: Told): string => `case "$*" in *"-machine none"*)
  ${GREET}
  id=0
  while read -r line <&3; do
    id=$((id + 1))
    case $line in
      *query-command-line-options*) answer=${list("option", options)} ;;
      *query-commands*) answer=${list("name", commands)} ;;
      *query-machines*) answer='[{"name": "pc-q35-5.2", "alias": "q35"}]' ;;
      *qom-list-properties*pc-q35-5.2-machine*) answer=${list("name", board)} ;;
      *device-list-properties*ICH9-LPC*) answer=${list("name", lpc)} ;;
      *) answer={} ;;
    esac
    echo "{\\"return\\": $answer, \\"id\\": $id}" >&3
  done
  exit 0 ;;
esac`;

# Package lists of a foreign architecture, apart from the machine's own: nothing is installed, no root is needed.
# To be sourced by bash.

# foreign_apt ARCHITECTURE STATE: sets `apt` to the options for apt-get and apt-cache, and brings the lists up to date.
foreign_apt() {
  mkdir -p "$2/lists/partial" "$2/cache/archives/partial"
  apt=(-o "APT::Architecture=$1" -o "APT::Architectures::=$1" -o "Dir::State=$2" -o "Dir::State::Lists=$2/lists"
    -o Dir::State::status=/dev/null -o "Dir::Cache=$2/cache" -o APT::Sandbox::User=root)
  apt-get -q "${apt[@]}" update >"$2/apt.log" 2>&1 ||
    die "apt cannot read the $1 lists: $(tail -n 3 "$2/apt.log")"
}

#!/bin/sh
# usage: host.sh COMMAND...
# Runs the command on a host of its own: a network namespace that forwards packets (FORWARD=0: does not) and has a
# default route into a world which knows nothing of any test's addresses. RULES are for its nft, SERVER is a command that
# runs in the world meanwhile. At the end it says what is left on it, after the moment that the dying take.
set -eu

case ${PLACE:-outside} in
outside)
  PLACE=world exec unshare --net "$0" "$@"
  ;;
world)
  ip link set lo up
  ip address add 198.51.100.7/32 dev lo
  ip link add name world type veth peer name uplink
  ip address add 203.0.113.1/24 dev world
  ip link set world up
  PLACE=host unshare --net "$0" "$@" &
  host=$!
  until [ "$(readlink /proc/$host/ns/net)" != "$(readlink /proc/$$/ns/net)" ]; do sleep 0.02; done
  ip link set uplink netns $host
  server=
  if [ -n "${SERVER:-}" ]; then
    $SERVER &
    server=$!
  fi
  code=0
  wait $host || code=$?
  [ -z "$server" ] || kill "$server"
  exit $code
  ;;
host)
  until ip link show uplink >/dev/null 2>&1; do sleep 0.02; done
  ip link set lo up
  ip link set uplink up
  ip address add 203.0.113.2/24 dev uplink
  ip route add default via 203.0.113.1
  echo "${FORWARD:-1}" >/proc/sys/net/ipv4/ip_forward
  echo "${RULES:-}" | nft -f -
  code=0
  "$@" || code=$?
  for _ in $(seq 50); do
    left=$(ip -o link | grep -o ': pv[^:@]*' || true; nft list tables | grep pv || true)
    [ -n "$left" ] || break
    sleep 0.1
  done
  echo "left on the host: ${left:-nothing}"
  exit $code
  ;;
esac

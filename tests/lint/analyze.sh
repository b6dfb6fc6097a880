#!/bin/sh
# The C programs through clang --analyze and cppcheck, each where it is installed (Debian packages clang and cppcheck).
# A warning is a failure; what is wrong about one is said next to the line that it names.
set -eu
flags="-std=c11 -D_GNU_SOURCE -Iagent/common -Iagent/guest -Ibuild/agent/generated"
status=0
ran=0
if command -v clang >/dev/null; then
  ran=1
  for file in $(find agent -name '*.c'); do
    # shellcheck disable=SC2086
    clang --analyze --analyzer-output text -Xanalyzer -analyzer-werror $flags "$file" -o /dev/null || status=1
  done
  echo "clang --analyze: $(find agent -name '*.c' | wc -l) files"
else
  echo "clang is not installed: its analyzer did not run"
fi
if command -v cppcheck >/dev/null; then
  ran=1
  # It takes variables that stand in a named register (rawcall.c) for statements without effect.
  cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
    --suppress=missingIncludeSystem --suppress=constStatement:agent/guest/rawcall.c -D__x86_64__ -D_GNU_SOURCE -Iagent/common -Iagent/guest -Iagent/host/disk -Iagent/host/switch \
    -Ibuild/agent/generated agent || status=1
  echo "cppcheck: done"
else
  echo "cppcheck is not installed: it did not run"
fi
[ "$ran" = 1 ] || exit 1
exit "$status"

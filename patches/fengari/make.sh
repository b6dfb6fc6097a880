#!/bin/sh
# Makes ../fengari@<version>.patch, which Bun applies at installation, from the parts beside this file.
#
#   make.sh                  unpacks the pinned package, applies the parts in order, writes the patch
#   make.sh tree DIR         leaves the patched package in DIR, to be edited
#   make.sh record DIR       takes the parts anew from the edited package in DIR, then makes the patch
#
# A part is a diff with a header that says what it does and, in its line "Files:", which files are its own.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
version=$(sed -n 's/^ *"fengari": "\([0-9.]*\)",*/\1/p' "$root/package.json")
patch="$here/../fengari@$version.patch"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The package as it is published: installed by Bun, without our patch.
mkdir "$work/stock"
printf '{"dependencies":{"fengari":"%s"}}\n' "$version" >"$work/stock/package.json"
(cd "$work/stock" && bun install --silent --no-save)
cp -rL "$work/stock/node_modules/fengari" "$work/tree"
git() { command git -c core.autocrlf=false -c user.name=patch -c user.email=patch@localhost "$@"; }
cd "$work/tree"
git init -q .
git add -A
git commit -qm stock

if [ "${1:-}" = record ]; then
  for part in "$here"/*.patch; do
    header=$(sed '/^diff --git /,$d' "$part")
    files=$(printf '%s\n' "$header" | sed -n 's/^Files: //p')
    for file in $files; do cp "$2/src/$file" "src/$file"; done
    git add -A
    { printf '%s\n\n' "$header"; git diff --cached --no-color --full-index; } >"$work/part"
    cp "$work/part" "$part"
    git commit -qm "$(basename "$part")"
  done
  diff -r "$2/src" src >&2 || { echo "a changed file belongs to no part" >&2; exit 1; }
else
  for part in "$here"/*.patch; do
    git apply --index "$part"
    git commit -qm "$(basename "$part")"
  done
fi

if [ "${1:-}" = tree ]; then
  cp -r "$work/tree" "$2"
  rm -rf "$2/.git"
  exit
fi
stock=$(git rev-list --max-parents=0 HEAD)
git diff --no-color --full-index "$stock" HEAD -- src >"$patch"
echo "$(grep -c '^diff --git' "$patch") files in $(basename "$patch")"

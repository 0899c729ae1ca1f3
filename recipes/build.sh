#!/usr/bin/env bash
# Installs what is missing and builds build/release/bin/mformer. Does nothing where nothing changed.
#   recipes/build.sh [--tests]     --tests: the test programs too, which take as long again
set -euo pipefail
cd "$(dirname "$0")/.."

target=(--target mformer man)
case ${1:-} in
  '') ;;
  --tests) target=() ;;
  *) printf 'error: unknown argument: %s\nhint: known: --tests\n' "$1" >&2; exit 2 ;;
esac

./recipes/setup.sh
echo 'build: configuring and compiling (the first time takes some minutes)'
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { cmake --preset release >"$log" 2>&1 && cmake --build --preset release "${target[@]}" >>"$log" 2>&1; }; then
  tail -n 40 "$log" >&2
  printf 'error: the build failed\nhint: the lines above say where; a clean start: rm -rf build/release\n' >&2
  exit 1
fi
echo 'build: build/release/bin/mformer is ready'

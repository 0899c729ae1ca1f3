# shellcheck shell=bash disable=SC2154
# How the quickstart calls the program. Sourced by run.sh, which sets program, work and results.

step() { printf '\n== %s\n' "$*"; }
mformer() { step "mformer $*"; "$program" --workspace "$work" "$@"; }
# The same, but keeps the result as JSON for the table at the end.
record() { local name=$1; shift; step "mformer $*"; "$program" --workspace "$work" --json "$@" >"$results/$name.json"; }

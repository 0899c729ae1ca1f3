#!/usr/bin/env bash
# gate.sh WORKSPACE DATA CANDIDATE RELEASE [OPTION…]
#
# Extends the workspace's current model for new data as the model CANDIDATE, and exports it to the folder RELEASE only if
# nothing is lost that the current model could: every task's loss within its bound (or MAX_RISE nats per token), and all
# that was there still there, bit for bit. OPTIONs go to `mformer extend`. Exit code 0: released; 1: the gate is shut, or
# something failed; 2: wrong usage. The current model stays as it is in every case.
#
# The same line again goes on where it was stopped, and repeats what was done without training again: a candidate of that
# name is verified against the version that it came from, and RELEASE, if it is an export, is replaced.
#
# Environment: MFORMER (the program, default mformer), MAX_RISE, REPORT (a file for the gate's report as JSON).
set -euo pipefail

if [ $# -lt 4 ]; then
  echo "usage: gate.sh WORKSPACE DATA CANDIDATE RELEASE [OPTION of mformer extend…]" >&2
  exit 2
fi
workspace=$1 data=$2 candidate=$3 release=$4
shift 4
mformer() { "${MFORMER:-mformer}" --workspace "$workspace" --quiet "$@"; }
limit=()
if [ -n "${MAX_RISE:-}" ]; then limit=(--max-rise "$MAX_RISE"); fi

# Whether the column (from 1) of a table has the word.
has() { mformer "$2" --format csv 2>/dev/null | cut -d, -f"$1" | grep -xF -- "$3" >/dev/null; }

if ! has 1 tag "before-$candidate"; then
  if has 2 models "$candidate"; then
    echo "gate.sh: there is a model '$candidate', which no gate made: choose another name" >&2
    exit 2
  fi
  mformer tag "before-$candidate"
fi
if ! has 2 models "$candidate"; then
  mformer --model "before-$candidate" extend --data "$data" --into "$candidate" "$@"
fi
if [ -n "${REPORT:-}" ]; then
  mformer verify "$candidate" --against "before-$candidate" --unchanged "${limit[@]}" --json > "$REPORT"
else
  mformer verify "$candidate" --against "before-$candidate" --unchanged "${limit[@]}"
fi
mformer --model "$candidate" export "$release" --overwrite

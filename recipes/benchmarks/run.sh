#!/usr/bin/env bash
# Whole-program benchmarks: one table of how fast mformer is, beside others where they are given.
#
#   recipes/benchmarks/run.sh [--quick] [--reference CLONE --python PY] [--repeat 5] [--only ROW,ROW] [--busy]
#
# README.md beside this file says what each row is. Nothing else should run on the machine meanwhile.
set -euo pipefail
exec python3 -B "$(dirname "$0")/run.py" "$@"

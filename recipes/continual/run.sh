#!/usr/bin/env bash
# Continual learning, measured: English, then German, Python and French in sequence, by every method of the table in
# docs/results/continual.md, with its tables and plots written at the end.
#
#   recipes/continual/run.sh [--seeds N] [--quick] [--results DIR] [--only METHOD,METHOD] [--report] [--docs]
#
# Stop it whenever you like (Ctrl-C, kill -9): the same command goes on from there.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
"$here/../build.sh"
exec python3 -B "$here/run.py" "$@"
